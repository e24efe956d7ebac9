"""Short texts that recur are one str in all records; whatever else stands there, each text is its own."""

from __future__ import annotations

import random
import string
import sys
import threading
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from tierstore import codec
from tierstore.records import Record

WORD_BYTES = 16
HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()


class Line(Record, kind=60140):
    state: str
    tags: list[str]
    names: Mapping[str, str]
    note: codec.JSON


def line_of(texts):
    return Line(texts[0], texts, dict(zip(texts, texts, strict=True)), texts)


def received(record):
    return codec.decode(codec.encode(record))


def test_records_share_their_short_texts():
    """From the second time on that one comes, where there is a GIL."""
    records = [received(line_of(["deprecated", "x" * WORD_BYTES])) for _ in range(4)]
    assert records[0].asdict() == records[1].asdict()
    first = records[2].state
    for record in records[2:]:
        texts = (record.state, record.tags[0], record.names["deprecated"], record.note[0])
        assert set(texts) == {"deprecated"}
        assert all((text is first) == HAS_GIL for text in texts[1:])
        assert (record.tags[1] is record.note[1]) == HAS_GIL
    long = received(line_of(["x" * (WORD_BYTES + 1)]))
    assert long.tags[0] == long.note[0]
    assert long.tags[0] is not long.note[0]


@given(st.lists(st.text(max_size=WORD_BYTES + 2), min_size=1, max_size=20, unique=True))
def test_every_text_comes_back(texts):
    line = received(line_of(texts))
    assert (line.state, line.tags, line.note, dict(line.names)) == (
        texts[0],
        texts,
        texts,
        dict(zip(texts, texts, strict=True)),
    )


def test_texts_that_take_each_others_places():
    """Many more than there are places, alike at both ends, of every length, at once in several threads."""
    chance = random.Random(7)
    ends = ["", "a", "ab", "\0", "é", "漢"]

    def texts():
        middle = "".join(chance.choices(string.ascii_lowercase + "\0é", k=chance.randrange(WORD_BYTES)))
        return chance.choice(ends) + middle + chance.choice(ends)

    lines = [line_of(sorted({texts() for _ in range(8)})) for _ in range(600)]
    buffers = [codec.encode(line) for line in lines]
    wrong = []

    def read():
        for _ in range(4):
            for line, buffer in zip(lines, buffers, strict=True):
                back = codec.decode(buffer)
                if (back.state, back.tags, back.note) != (line.state, line.tags, line.note):
                    wrong.append(buffer)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len({text for line in lines for text in line.tags}) > 3_000
