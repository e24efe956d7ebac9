"""An etag in plain JSON: a value of ours ends in 32 blanks, which are 64 random bits.

JSON allows white space at its end, so that GET, MGET and SET stay what they are, the value can be read by anybody, and an equal value
gets another etag. A value that somebody else wrote has no blanks; its etag is its SHA-1.
"""

from __future__ import annotations

import hashlib

from tierstore.backends.pairs import Pair
from tierstore.runtime import Runtime, generation

BLANKS, DIGITS = b" \t\n\r", b"0123"
TRAILER_BYTES, DRAWN_AT_ONCE = 32, 64
ANY, EXACTLY = b"*", b"="
_BLANK_OF = bytes(BLANKS[byte % len(BLANKS)] for byte in range(256))
_TO_DIGITS = bytes.maketrans(BLANKS, DIGITS)
_TO_BLANKS = bytes.maketrans(DIGITS, BLANKS)


class Trailers:
    """New ones: two bits of each of as many random bytes, drawn for several at once. A forked child draws its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._process = generation()
        self._drawn: list[bytes] = []

    def next(self) -> bytes:
        try:
            if self._process == generation():
                return self._drawn.pop()
        except IndexError:
            pass
        blanks = self._runtime.random_bytes(TRAILER_BYTES * DRAWN_AT_ONCE).translate(_BLANK_OF)
        drawn = [blanks[at : at + TRAILER_BYTES] for at in range(0, len(blanks), TRAILER_BYTES)]
        self._drawn, self._process = drawn[1:], generation()
        return drawn[0]


def etag_of(tag: bytes) -> str:
    """Of what stands at a value's end, or of a digest."""
    return tag.translate(_TO_DIGITS).decode()


def expectation(etag: str | None) -> bytes:
    """What the scripts compare with: `ANY` for None, else `EXACTLY` and the tag; nothing behind it means absent."""
    if etag is None:
        return ANY
    tag = etag.encode("utf-8", "replace")
    return EXACTLY + (tag.translate(_TO_BLANKS) if len(tag) == TRAILER_BYTES else tag)


def split(stored: bytes) -> tuple[bytes, bytes]:
    """The value and its tag."""
    blanks = stored[-TRAILER_BYTES:]
    if len(blanks) == TRAILER_BYTES and not blanks.strip(BLANKS):
        return stored[:-TRAILER_BYTES], blanks
    return stored, hashlib.sha1(stored, usedforsecurity=False).hexdigest().encode()


def pair_of(stored: bytes, expires_ms: int | None = None) -> Pair:
    value, tag = split(stored)
    return Pair(value, etag_of(tag), expires_ms)
