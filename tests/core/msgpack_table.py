"""MessagePack by its specification (github.com/msgpack/msgpack, spec.md): every format byte, both ends of every range, and what is refused.

A row is what a buffer means. An encoder writes the shortest form of a value, and floats in 64 bits. Values are those of `tierstore.codec`:
what is marked with ext code -1 is a datetime where one can hold it, else a `Timestamp`.

The judges are the libraries msgspec and msgpack. They read a row as it stands here, except where `says` holds another answer. These are
the differences, all of them meant:

- msgspec has no type for a moment but datetime. It rounds nanoseconds to microseconds and refuses years outside 1 to 9999.
- msgspec and msgpack accept map keys that are not text (msgspec any that is hashable, msgpack bytes), and a key that comes twice, where
  the last value stands. Ours is the rule of JSON unless `strict=False` is said.
- The msgpack library makes ext types with codes 0 to 127 only, since the specification keeps the negative ones for itself; it reads
  others by the hook that the test gives it, and does not write them (`writes`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tierstore import codec

REFUSED = "refused"
MSGSPEC, MSGPACK = "msgspec", "msgpack"
FIRST_YEAR, LAST_YEAR = -62_135_596_800, 253_402_300_799
"""The seconds of 0001-01-01T00:00:00Z and of 9999-12-31T23:59:59Z."""
PLANES = "\0\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
"""Both ends of each length of UTF-8, and of the hole between them."""


@dataclass(frozen=True)
class Row:
    name: str
    encoded: bytes
    value: Any
    written: bool = True
    """Whether it is what an encoder makes of the value."""
    says: Mapping[str, Any] = field(default_factory=dict)
    """What a judge answers instead."""
    writes: frozenset[str] = frozenset((MSGSPEC, MSGPACK))
    """The judges that can write the value."""


@dataclass(frozen=True)
class Refusal:
    name: str
    encoded: bytes
    accepted_by: frozenset[str] = frozenset()


def moment(seconds: int, nanoseconds: int) -> datetime | codec.Timestamp:
    if nanoseconds % 1000 or not FIRST_YEAR <= seconds <= LAST_YEAR:
        return codec.Timestamp(seconds, nanoseconds)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000)


def constants() -> Iterator[Row]:
    for head, value in ((0xC0, None), (0xC2, False), (0xC3, True)):
        yield Row(repr(value), bytes([head]), value)


def fixed_integers() -> Iterator[Row]:
    for number in (*range(-32, 0), *range(0x80)):
        yield Row(f"fixint {number}", struct.pack("b", number), number)


def sized_integers() -> Iterator[Row]:
    """Each format at both its ends, and on both sides of where the next smaller one ends."""
    unsigned = [(0xCC, "B", 2**7), (0xCD, ">H", 2**8), (0xCE, ">I", 2**16), (0xCF, ">Q", 2**32)]
    for head, layout, first in unsigned:
        last = 2 ** (8 * struct.calcsize(layout)) - 1
        for number in (0, first - 1, first, last):
            yield Row(f"{head:x} {number}", bytes([head]) + struct.pack(layout, number), number, number >= first)
    signed = [(0xD0, "b", -(2**5)), (0xD1, ">h", -(2**7)), (0xD2, ">i", -(2**15)), (0xD3, ">q", -(2**31))]
    for head, layout, first in signed:
        last = 2 ** (8 * struct.calcsize(layout) - 1)
        for number in (-last, first - 1, first, -1, 0, last - 1):
            yield Row(f"{head:x} {number}", bytes([head]) + struct.pack(layout, number), number, number < first)


def floats() -> Iterator[Row]:
    """Of 64 bits as Python has them; of 32 bits read only."""
    for head, layout, tiny, normal, most in (
        (0xCA, ">f", 2.0**-149, 2.0**-126, (2 - 2.0**-23) * 2.0**127),
        (0xCB, ">d", 2.0**-1074, 2.0**-1022, (2 - 2.0**-52) * 2.0**1023),
    ):
        for number in (0.0, -0.0, tiny, normal, -most, most, float("inf"), float("-inf"), float("nan")):
            yield Row(f"{head:x} {number!r}", bytes([head]) + struct.pack(layout, number), number, head == 0xCB)


def text(size: int) -> tuple[str, bytes]:
    return "x" * size, b"x" * size


def binary(size: int) -> tuple[bytes, bytes]:
    return b"\xff" * size, b"\xff" * size


def array(size: int) -> tuple[list[Any], bytes]:
    return [None] * size, b"\xc0" * size


def mapping(size: int) -> tuple[dict[str, bool], bytes]:
    names = [f"{number:05}" for number in range(size)]
    return dict.fromkeys(names, True), b"".join(b"\xa5" + name.encode() + b"\xc3" for name in names)


LAST = {"B": 2**8 - 1, ">H": 2**16 - 1, ">I": 2**16}
"""The longest length tried of each layout. The far end of 32 bits, 4 GiB, is only claimed (`claims`)."""
SIZED: dict[str, tuple[Callable[[int], tuple[Any, bytes]], int, int, dict[int, tuple[str, int]]]] = {
    # what: (content, head and number of the short forms, {head: (layout of its length, first length that needs it)})
    "str": (text, 0xA0, 32, {0xD9: ("B", 32), 0xDA: (">H", 2**8), 0xDB: (">I", 2**16)}),
    "bin": (binary, 0, 0, {0xC4: ("B", 0), 0xC5: (">H", 2**8), 0xC6: (">I", 2**16)}),
    "array": (array, 0x90, 16, {0xDC: (">H", 16), 0xDD: (">I", 2**16)}),
    "map": (mapping, 0x80, 16, {0xDE: (">H", 16), 0xDF: (">I", 2**16)}),
}


def sized() -> Iterator[Row]:
    for what, (make, short, shorts, heads) in SIZED.items():
        for size in range(shorts):
            value, content = make(size)
            yield Row(f"fix{what} {size}", bytes([short + size]) + content, value)
        for head, (layout, first) in heads.items():
            for size in sorted({0, max(first - 1, 0), first, LAST[layout]}):
                value, content = make(size)
                yield Row(f"{head:x} {size}", bytes([head]) + struct.pack(layout, size) + content, value, size >= first)


def planes() -> Iterator[Row]:
    text = bytes([0xA0 + len(PLANES.encode())]) + PLANES.encode()
    yield Row("every length of UTF-8", text, PLANES)
    yield Row("a key of every length of UTF-8", b"\x81" + text + b"\x01", {PLANES: 1})


def extension(code: int, size: int, head: bytes, *, written: bool) -> Row:
    data = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    encoded = head + struct.pack("b", code) + data
    writes = frozenset((MSGSPEC, MSGPACK) if code >= 0 else (MSGSPEC,))
    return Row(f"{head[0]:x} {size}, code {code}", encoded, codec.Ext(code, data), written, writes=writes)


def extensions() -> Iterator[Row]:
    fixed = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}
    for size, head in fixed.items():
        for code in (-128, -2, 0, 127):
            yield extension(code, size, bytes([head]), written=True)
    for size in (0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 255):
        yield extension(5, size, bytes([0xC7, size]), written=size not in fixed)
    for size in (0, 255, 256, 2**16 - 1):
        yield extension(5, size, b"\xc8" + struct.pack(">H", size), written=size > 255)
    for size in (0, 2**16 - 1, 2**16):
        yield extension(5, size, b"\xc9" + struct.pack(">I", size), written=size > 2**16 - 1)


def stamped(name: str, head: bytes, seconds: int, nanoseconds: int, *, written: bool = True) -> Row:
    size = head[1] if head[0] == 0xC7 else {0xD6: 4, 0xD7: 8}[head[0]]
    if size == 4:
        data = struct.pack(">I", seconds)
    elif size == 8:
        data = struct.pack(">Q", nanoseconds << 34 | seconds)
    else:
        data = struct.pack(">Iq", nanoseconds, seconds)
    value = moment(seconds, nanoseconds)
    says: dict[str, Any] = {}
    if not FIRST_YEAR <= seconds <= LAST_YEAR:
        says[MSGSPEC] = REFUSED
    elif nanoseconds % 1000:
        says[MSGSPEC] = moment(seconds + round(nanoseconds, -3) // 10**9, round(nanoseconds, -3) % 10**9)
    writes = frozenset((MSGSPEC, MSGPACK) if isinstance(value, datetime) else (MSGPACK,))
    return Row(f"{name} {seconds} s {nanoseconds} ns", head + b"\xff" + data, value, written, says, writes)


def timestamps() -> Iterator[Row]:
    """Of 32, 64 and 96 bits, at both ends of seconds and nanoseconds, and at the ends of what a datetime holds."""
    of_32, of_64, of_96 = b"\xd6", b"\xd7", b"\xc7\x0c"
    for seconds in (0, 2**31 - 1, 2**31, 2**32 - 1):
        yield stamped("timestamp 32", of_32, seconds, 0)
        yield stamped("timestamp 64", of_64, seconds, 0, written=False)
    for seconds in (0, 2**32 - 1, 2**32, 2**34 - 1):
        for nanoseconds in (1, 1_000, 999_999_000, 999_999_999):
            yield stamped("timestamp 64", of_64, seconds, nanoseconds)
    for seconds in (2**32, 2**34 - 1):
        yield stamped("timestamp 64", of_64, seconds, 0)
    for seconds in (0, 2**34 - 1):
        yield stamped("timestamp 96", of_96, seconds, 999_999_000, written=False)
    for seconds in (-(2**63), FIRST_YEAR - 1, FIRST_YEAR, -1, 2**34, LAST_YEAR, LAST_YEAR + 1, 2**63 - 1):
        for nanoseconds in (0, 999_999_000):
            yield stamped("timestamp 96", of_96, seconds, nanoseconds)
    for seconds in (-(2**63), -1, 2**34, 2**63 - 1):
        yield stamped("timestamp 96", of_96, seconds, 999_999_499)
    yield stamped("timestamp 32 as ext 8", b"\xc7\x04", 1, 0, written=False)
    yield stamped("timestamp 64 as ext 8", b"\xc7\x08", 1, 1_000, written=False)


def nested() -> Iterator[Row]:
    yield Row("arrays in one another", b"\x91" * 100 + b"\x90", _wrapped(100))
    yield Row("maps and arrays", b"\x82\xa1a\x92\x01\xc0\xa1b\x81\xa0\x80", {"a": [1, None], "b": {"": {}}})


def _wrapped(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def rows() -> list[Row]:
    parts = (constants, fixed_integers, sized_integers, floats, sized, planes, extensions, timestamps, nested)
    return [row for part in parts for row in part()]


def claims() -> Iterator[Refusal]:
    """A length at the far end of its format, and nothing that follows."""
    for head in (0xC4, 0xC7, 0xD9):
        yield Refusal(f"{head:x} claims 255 bytes", bytes([head, 0xFF]))
    for head in (0xC5, 0xC8, 0xDA, 0xDC, 0xDE):
        yield Refusal(f"{head:x} claims 65,535", bytes([head, 0xFF, 0xFF]))
    for head in (0xC6, 0xC9, 0xDB, 0xDD, 0xDF):
        yield Refusal(f"{head:x} claims 4,294,967,295", bytes([head]) + b"\xff" * 4)


def wrong_text() -> Iterator[Refusal]:
    """What is not UTF-8, in every form of a text, and as a key."""
    faults = {
        "no first byte": b"\xff",
        "a following byte alone": b"\x80",
        "ends too early": b"\xe2\x82",
        "longer than it must be": b"\xc0\x80",
        "a surrogate": b"\xed\xa0\x80",
        "above U+10FFFF": b"\xf4\x90\x80\x80",
    }
    for name, fault in faults.items():
        size = len(fault)
        forms = {
            "fixstr": bytes([0xA0 + size]),
            "str 8": b"\xd9" + struct.pack("B", size),
            "str 16": b"\xda" + struct.pack(">H", size),
            "str 32": b"\xdb" + struct.pack(">I", size),
        }
        for form, head in forms.items():
            yield Refusal(f"{form}: {name}", head + fault)
        yield Refusal(f"key: {name}", b"\x81" + forms["fixstr"] + fault + b"\x01")


def wrong_keys() -> Iterator[Refusal]:
    keys = {"nil": b"\xc0", "bool": b"\xc3", "int": b"\x01", "float": b"\xcb" + bytes(8), "array": b"\x90"}
    for name, key in keys.items():
        yield Refusal(f"key: {name}", b"\x81" + key + b"\x02", frozenset((MSGSPEC,)))
    yield Refusal("key: bin", b"\x81\xc4\x01a\x02", frozenset((MSGSPEC, MSGPACK)))
    yield Refusal("key: map", b"\x81\x80\x02")
    yield Refusal("a key twice", b"\x82\xa1a\x01\xa1a\x02", frozenset((MSGSPEC, MSGPACK)))


def wrong_timestamps() -> Iterator[Refusal]:
    for size in (0, 1, 2, 3, 5, 7, 9, 11, 13, 16):
        fixed = {1: b"\xd4", 2: b"\xd5", 16: b"\xd8"}
        yield Refusal(f"a timestamp of {size} bytes", fixed.get(size, bytes([0xC7, size])) + b"\xff" + bytes(size))
    for nanoseconds in (10**9, 2**30 - 1):
        data = struct.pack(">Q", nanoseconds << 34)
        yield Refusal(f"timestamp 64 with {nanoseconds} ns", b"\xd7\xff" + data)
    for nanoseconds in (10**9, 2**32 - 1):
        yield Refusal(f"timestamp 96 with {nanoseconds} ns", b"\xc7\x0c\xff" + struct.pack(">Iq", nanoseconds, 0))


def refusals() -> list[Refusal]:
    others = [
        Refusal("nothing", b""),
        Refusal("c1, which is never used", b"\xc1"),
        Refusal("c1 in an array", b"\x91\xc1"),
        Refusal("arrays in one another without an end", b"\x91" * 100_000 + b"\xc0"),
    ]
    return [*others, *claims(), *wrong_text(), *wrong_keys(), *wrong_timestamps()]
