"""What L2 keeps of a key that is not there."""

from __future__ import annotations

from tierstore.layout import u64
from tierstore.records import Record


class Absent(Record, kind=0xF000, revision=1):
    """`row_version`: the owner's when the absence was seen."""

    row_version: u64
