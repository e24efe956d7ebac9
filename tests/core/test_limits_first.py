"""A limit is checked before the work that it bounds: what is far too large costs no more than what is just too large."""

from __future__ import annotations

import base64
import itertools
import json
import time
import tracemalloc

import pytest

from tierstore import errors
from tierstore._native import SizeRouter, digest
from tierstore.calls.lines import LINE_OVERHEAD_BYTES, from_line, header, read_batches, to_line
from tierstore.errors import ValidationError
from tierstore.plan.arguments import check_many
from tierstore.plan.values import MAX_METADATA_BYTES, check_metadata, check_tags, describe, metadata_text
from tierstore.stores.schemas.registration import check_items, prepare

MIB = 2**20
MAX_SECONDS = 0.05


class Counted:
    """Values one by one; how many were taken."""

    def __init__(self, values):
        self._values, self.taken = iter(values), 0

    def __iter__(self):
        return self

    def __next__(self):
        self.taken += 1
        return next(self._values)


def seconds(call):
    """Of the processor; the least of three."""
    times = []
    for _ in range(3):
        start = time.thread_time()
        with pytest.raises(errors.ValidationError):
            call()
        times.append(time.thread_time() - start)
    return min(times)


MANY = 1_000_000
METADATA = {
    "names": {str(number): number for number in range(MANY)},
    "a list": {"a": list(range(MANY))},
    "a list of lists": {"a": [[] for _ in range(MANY)]},
    "nothings": {"a": [None] * MANY},
    "a long text": {"a": "\u00e9" * 20_000_000},
    "a long name": {"\u00e9" * 20_000_000: 1},
}


@pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA.keys())
def test_metadata_is_refused_before_all_of_it_is_walked(metadata):
    assert seconds(lambda: check_metadata(metadata)) < MAX_SECONDS
    assert seconds(lambda: describe(metadata, "", ())) < MAX_SECONDS


def test_metadata_of_just_the_limit_is_taken():
    text = "x" * (MAX_METADATA_BYTES - len('{"a":""}'))
    assert len(describe({"a": text}, "", ()).metadata) == MAX_METADATA_BYTES
    many = {"a": [1] * ((MAX_METADATA_BYTES - len('{"a":[]}')) // 2)}
    assert len(describe(many, "", ()).metadata) <= MAX_METADATA_BYTES
    with pytest.raises(errors.ValidationError, match="65536 bytes"):
        describe({"a": text + "x"}, "", ())


@pytest.mark.parametrize("tags", [map(str, itertools.count()), itertools.repeat("same")], ids=["different", "the same"])
def test_tags_are_counted_as_they_come(tags):
    counted = Counted(tags)
    with pytest.raises(errors.ValidationError, match="at most 64"):
        check_tags(counted)
    assert counted.taken <= 1_025


def test_an_item_of_a_million_fields_is_refused_at_once():
    item = {"subject": "s", "version": "1.0.0", "content": b"{}", **{str(number): 1 for number in range(MANY)}}
    with pytest.raises(errors.ValidationError, match="unknown") as caught:
        check_items([item])
    assert len(str(caught.value)) < 500
    assert seconds(lambda: check_items([item])) < MAX_SECONDS


def test_content_is_measured_before_it_is_copied():
    content = memoryview(bytearray(1)).cast("B")
    big = bytearray(257 * MIB)
    assert content.nbytes == 1
    tracemalloc.start()
    try:
        with pytest.raises(errors.ValidationError, match="content"):
            prepare(SizeRouter(), subject="s", version="1.0.0", content=big)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


LISTS = b"[" + b"[]," * (4 * MIB) + b"[]]"
LINES = {
    "a field of lists": b'{"content":"","size":0,"digest":"x","metadata":' + LISTS + b"}",
    "lists": LISTS,
    "lists beside a long content": b'{"content":"'
    + b"A" * MIB
    + b'","size":786432,"digest":"x","metadata":'
    + LISTS
    + b"}",
    "lists as the content": b'{"size":9,"digest":"x","content":' + LISTS + b"}",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_a_line_of_an_import_takes_no_more_memory_than_a_few_times_its_bytes(line):
    tracemalloc.start()
    try:
        with pytest.raises(errors.ValidationError, match=r"line 7.*bytes beside its content"):
            from_line(line, 7, 256 * MIB)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(line)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("size", [0, 9, 100_000, LINE_OVERHEAD_BYTES, 3 * MIB])
def test_a_line_is_read_in_any_order_and_spacing(tmp_path, order, escaped, size):
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    fields = {"id": "x", "metadata": {"content": "small", "n": [1]}}
    good = json.loads(to_line(fields, content, digest(content)))
    text = json.dumps(dict(list(good.items())[::order]), indent=None, separators=(" , ", " : "))
    if escaped:
        text = text.replace("/", "\\/")
    path = tmp_path / "lines"
    path.write_bytes(header("schemas") + text.encode() + b"\n")
    ((item,),) = read_batches(path, "schemas", 256 * MIB, 100)
    assert item == {**fields, "content": content}


def test_a_content_that_stands_elsewhere_is_not_taken_for_the_records():
    content = base64.b64encode(bytes(MIB)).decode()
    line = json.dumps({"metadata": {"content": content}, "content": "", "size": MIB, "digest": digest(bytes(MIB))})
    with pytest.raises(errors.ValidationError, match="line 2"):
        from_line(line.encode(), 2, 256 * MIB)


def test_a_call_takes_a_bounded_number_of_values():
    def endless():
        while True:
            yield "a"

    with pytest.raises(ValidationError, match="at most 100,000"):
        check_many(endless(), "ids", str)


@pytest.mark.parametrize("letter", ["a", "é", "あ", "😀"])
def test_the_limit_of_metadata_is_in_bytes(letter):
    room = MAX_METADATA_BYTES - len(b'{"a":""}')
    fits = letter * (room // len(letter.encode()))
    assert len(metadata_text({"a": fits}).encode()) <= MAX_METADATA_BYTES
    with pytest.raises(ValidationError, match="bytes"):
        metadata_text({"a": fits + letter * 4})
