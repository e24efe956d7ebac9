"""Adding to an integer that is stored as JSON text."""

from __future__ import annotations

import re
from typing import Final

MAX_INT64: Final = 2**63 - 1
MIN_INT64: Final = -(2**63)
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")


def added(text: bytes, by: int) -> int | None:
    """The sum; None where the text is no JSON integer, or one of both is beyond int64."""
    if _INTEGER.fullmatch(text) is None or not MIN_INT64 <= int(text) <= MAX_INT64:
        return None
    total = int(text) + by
    return total if MIN_INT64 <= total <= MAX_INT64 else None
