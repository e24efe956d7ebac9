"""The record classes whose golden files lie in `golden/`: three revisions of one kind, one record of every
type, and a large one.

A golden file is written once, when its class is declared, and stays for ever:

    .venv/bin/python -m tests.core.golden_records
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from tierstore import codec
from tierstore.records import Record, field, removed

GOLDEN = Path(__file__).parent / "golden"
KEY = b"ts1:{test:7}:note:42"
# XXH3, 64 bits, of the key and of no bytes.
KEY_SUMS = {KEY: 0x6353BAFEE2E4CA3F, b"": 0x2D06800538D394C2}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 300


class NoteOne(Record, kind=60001):
    id: str
    body: bytes
    old: int


class NoteTwo(Record, kind=60001, revision=2, oldest_reader=1, replaces=NoteOne):
    id: str
    body: bytes
    old: int
    author: str | None = field(revision=2, default=None)
    labels: tuple[str, ...] = field(revision=2, default=())


class NoteThree(Record, kind=60001, revision=3, oldest_reader=2, replaces=NoteTwo):
    id: str
    body: bytes
    old: ClassVar = removed(int, default=0)
    author: str | None = field(revision=2, default=None)
    labels: tuple[str, ...] = field(revision=2, default=())
    colour: Colour = field(revision=3, default=Colour.RED)


class Point(Record):
    x: int
    y: float = 1.5


class Everything(Record, kind=60002):
    text: str
    raw: bytes
    view: memoryview
    number: int
    tiny: codec.u8
    huge: codec.u128
    small: codec.i16
    wide: codec.i128
    real: float
    short: codec.f32
    letter: codec.char
    flag: bool
    maybe: str | None
    when: datetime
    day: date
    span: timedelta
    uuid: UUID
    price: Decimal
    colour: Colour
    level: Level
    names: list[str]
    many: tuple[int, ...]
    pair: tuple[int, str]
    table: dict[str, int]
    points: list[Point]
    point: Point
    lazy: Sequence[Point]
    files: Mapping[str, bytes]
    free: codec.JSON


def everything() -> Everything:
    return Everything(
        text="Grüße ❤",
        raw=b"\0\xff" * 40,
        view=memoryview(b"view"),
        number=-(2**63),
        tiny=255,
        huge=2**128 - 1,
        small=-32768,
        wide=-(2**127),
        real=-0.0,
        short=1.5,
        letter="€",
        flag=True,
        maybe=None,
        when=datetime(2026, 11, 21, 1, 2, 3, 456789, tzinfo=UTC),
        day=date(1, 1, 1),
        span=timedelta(days=-3, microseconds=1),
        uuid=UUID("0190c9b0-0000-7000-8000-00000000002a"),
        price=Decimal("-12.3400"),
        colour=Colour.BLUE,
        level=Level.HIGH,
        names=["a", "", "é"],
        many=(0, 250, 251, -1),
        pair=(7, "seven"),
        table={"one": 1, "two": 2},
        points=[Point(1), Point(-2, 2.5)],
        point=Point(3),
        lazy=(Point(4), Point(5)),
        files={"a.txt": b"A", "b.txt": b"B" * 300},
        free={"list": [1, 2.5, None, True, "x", {"deep": []}], "max": 2**64 - 1},
    )


class Bundle(Record, kind=60003):
    """Bulk of more than 16 KiB: it is checked piece by piece."""

    name: str
    files: Mapping[str, bytes]
    tail: bytes


def bundle() -> Bundle:
    files = {f"file_{number}": bytes((number * 31 + at) % 251 for at in range(3_000)) for number in range(7)}
    return Bundle("bundle", files, b"the end")


NOTES: dict[str, Record] = {
    "note_1": NoteOne("n1", b"body", 9),
    "note_2": NoteTwo("n2", b"body", 9, "ann", ("x", "y")),
    "note_3": NoteThree("n3", b"body", "bob", ("z",), Colour.BLUE),
}
RECORDS: dict[str, Record] = {**NOTES, "everything": everything(), "bundle": bundle()}


def golden(name: str) -> bytes:
    return bytes.fromhex((GOLDEN / f"{name}.hex").read_text())


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, record in RECORDS.items():
        path = GOLDEN / f"{name}.hex"
        if not path.exists():
            path.write_text(codec.encode(record, key=KEY).hex("\n", 40) + "\n")


if __name__ == "__main__":
    main()
