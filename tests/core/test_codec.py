"""Records as bytes: golden files, damage of every kind, revisions, and the same bytes by a second, plain writer."""

from __future__ import annotations

import contextlib
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core import codec_model as model
from tests.core import random_buffers
from tests.core.golden_records import (
    GOLDEN,
    KEY,
    KEY_SUMS,
    NOTES,
    RECORDS,
    Bundle,
    Everything,
    NoteOne,
    NoteThree,
    NoteTwo,
    bundle,
    everything,
    golden,
)
from tierstore import codec
from tierstore.errors import CorruptError, StorageError, ValidationError
from tierstore.records import Record, field

RANDOM_BUFFERS = 200_000
CLASSES = {"note_1": NoteOne, "note_2": NoteTwo, "note_3": NoteThree, "everything": Everything, "bundle": Bundle}


@pytest.mark.requirement("S1-24")
@pytest.mark.parametrize("name", sorted(RECORDS))
def test_golden_files_decode_to_their_records_and_records_encode_to_their_files(name: str):
    buffer = golden(name)
    assert CLASSES[name].from_bytes(buffer, key=KEY) == RECORDS[name]
    assert codec.encode(RECORDS[name], key=KEY) == buffer


def test_every_golden_file_belongs_to_a_record():
    assert {Path(path).stem for path in GOLDEN.glob("*.hex")} == set(RECORDS)


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_the_plain_model_writes_the_same_bytes(name: str):
    for key, key_sum in KEY_SUMS.items():
        assert codec.encode(RECORDS[name], key=key) == model.buffer(RECORDS[name], key_sum)


def refused(read: Callable[[], object]) -> bool:
    try:
        read()
    except CorruptError:
        return True
    return False


@pytest.mark.requirement("S1-24")
@pytest.mark.parametrize("name", sorted(RECORDS))
def test_every_flipped_bit_and_every_truncation_is_refused(name: str):
    """On receipt by the tiers' rule; else at the latest when the damaged bytes are read."""
    buffer, cls = golden(name), CLASSES[name]
    for bit in range(len(buffer) * 8):
        flipped = bytearray(buffer)
        flipped[bit // 8] ^= 1 << bit % 8
        whole = bytes(flipped)
        assert refused(lambda whole=whole: codec.decode_current(whole, cls, key=KEY)), bit
        assert len(buffer) > 2**14 or refused(lambda whole=whole: cls.from_bytes(whole, key=KEY)), bit
    for end in [*range(len(buffer)), len(buffer) + 1]:
        cut = (buffer + b"\0")[:end]
        assert refused(lambda cut=cut: cls.from_bytes(cut, key=KEY)), end


def test_of_a_large_record_no_damaged_byte_is_handed_out():
    """Every reading of a damaged record gives what was written, or CorruptError."""
    buffer, whole = golden("bundle"), bundle()
    names = [*whole.files, "no such file"]
    start = 32 + len(model.fields(whole, bulk=False))
    refusals = 0
    for bit in range(start * 8, len(buffer) * 8, 13):
        flipped = bytearray(buffer)
        flipped[bit // 8] ^= 1 << bit % 8
        record = Bundle.from_bytes(bytes(flipped), key=KEY)
        assert record.name == whole.name
        name, seen = names[bit % len(names)], None
        with contextlib.suppress(CorruptError):
            seen = record.files.get(name)
            assert seen == whole.files.get(name)
        refusals += seen is None and name in whole.files
        for read in (lambda record=record: dict(record.files), lambda record=record: bytes(record.files["file_6"])):
            with contextlib.suppress(CorruptError):
                assert read() in (whole.files, whole.files["file_6"])
        assert refused(lambda record=record: (record.files["file_0"], record.tail, dict(record.files), hash(record)))
    assert refusals > 1_000


def test_a_file_is_read_though_a_later_one_is_damaged():
    flipped = bytearray(golden("bundle"))
    flipped[-200] ^= 1
    record = Bundle.from_bytes(bytes(flipped), key=KEY)
    assert record.files["file_1"] == bundle().files["file_1"]
    for read in (lambda: record.tail, lambda: record.files["file_6"], lambda: list(record.files)):
        with pytest.raises(CorruptError):
            read()
    assert record.files["file_1"] == bundle().files["file_1"]


def test_an_entry_for_another_key_is_refused():
    buffer = codec.encode(everything(), key=b"one")
    for key in (b"other", b"", b"one\0"):
        with pytest.raises(CorruptError):
            codec.decode(buffer, key=key)
    assert codec.decode(buffer, key=b"one") == everything()


def test_random_buffers_are_never_accepted():
    """`python -m tests.core.random_buffers 10_000_000` is the long form."""
    assert random_buffers.accepted(RANDOM_BUFFERS) == []


def test_a_large_record_is_checked_before_its_bulk_is_read():
    buffer = bytearray(codec.encode(NoteOne("big", b"x" * 100_000, 1)))
    buffer[-1000] ^= 1
    record = NoteOne.from_bytes(bytes(buffer))
    assert record.id == "big"
    with pytest.raises(CorruptError):
        _ = record.body
    with pytest.raises(CorruptError):
        codec.decode_current(bytes(buffer), NoteOne)
    with pytest.raises(CorruptError):
        hash(record)


def test_older_buffers_get_defaults_and_the_tiers_refuse_them():
    record = NoteTwo.from_bytes(golden("note_1"), key=KEY)
    assert (record.id, record.body, record.old, record.author, record.labels) == ("n1", b"body", 9, None, ())
    with pytest.raises(CorruptError):
        codec.decode_current(golden("note_1"), NoteTwo, key=KEY)


def test_newer_buffers_are_read_and_keep_what_is_not_known_here():
    record = codec.decode_current(golden("note_2"), NoteOne, key=KEY)
    assert (record.id, record.body, record.old) == ("n2", b"body", 9)
    assert codec.encode(record, key=KEY) is bytes(record)
    changed = NoteTwo.from_bytes(bytes(record.replace(id="changed")))
    assert changed == NoteTwo("changed", b"body", 9, "ann", ("x", "y"))


def test_a_buffer_whose_oldest_reader_is_newer_is_refused():
    for read in (NoteOne.from_bytes, lambda buffer, *, key: codec.decode_current(buffer, NoteOne, key=key)):
        with pytest.raises(CorruptError):
            read(golden("note_3"), key=KEY)
    assert NoteTwo.from_bytes(golden("note_3"), key=KEY).labels == ("z",)
    assert not hasattr(NOTES["note_3"], "old")


def test_a_nested_record_of_a_newer_revision_keeps_its_bytes():
    class OldPart(Record):
        a: int

    class NewPart(Record, revision=2, oldest_reader=1):
        a: int
        b: str = field(revision=2, default="")

    class OldWhole(Record, kind=60010):
        part: OldPart
        n: int

    class NewWhole(Record, kind=60010, replaces=OldWhole):
        part: NewPart
        n: int

    old = OldWhole.from_bytes(codec.encode(NewWhole(NewPart(1, "kept"), 5)))
    assert (old.part.a, old.n) == (1, 5)
    assert NewWhole.from_bytes(codec.encode(old.replace(n=6))).part == NewPart(1, "kept")


def test_an_unknown_kind_and_the_wrong_class_are_refused():
    class Lonely(Record, kind=60011):
        a: int

    with pytest.raises(CorruptError):
        codec.decode_current(codec.encode(Lonely(1)), NoteOne)
    with pytest.raises(CorruptError):
        codec.decode(b"\x77\xea" + codec.encode(Lonely(1))[2:])


def test_unchanged_write_back_is_the_same_buffer():
    buffer = golden("everything")
    record = Everything.from_bytes(buffer, key=KEY)
    assert codec.encode(record, key=KEY) is buffer
    assert bytes(record) is buffer
    moved = codec.encode(record, key=b"elsewhere")
    assert moved == codec.encode(everything(), key=b"elsewhere")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_taken(kind: type):
    assert codec.decode(kind(golden("everything")), key=KEY) == everything()


def test_a_buffer_that_changes_later_changes_no_record():
    buffer = bytearray(golden("note_1"))
    record = NoteOne.from_bytes(buffer, key=KEY)
    buffer[:] = bytes(len(buffer))
    assert record == NOTES["note_1"]


def on_a_small_stack(work: object) -> list[BaseException | None]:
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            work()
            outcome.append(None)
        except StorageError as error:
            outcome.append(error)

    before = threading.stack_size(64 * 1024)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    return outcome


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def chain(depth: int) -> Link:
    link = Link(None)
    for _ in range(depth):
        link = Link(link)
    return link


class Link(Record, kind=60012):
    next: Link | None


DEEP = nested(100_000)
"""Freed by the main thread: Python 3.13 itself needs a deep stack to free such a list."""
BOMBS = {
    "arrays": lambda: codec.msgpack_decode(b"\x91" * 1_000_000),
    "maps": lambda: codec.msgpack_decode(b"\x81\xa1a" * 300_000),
    "a claim of 4 Gi items": lambda: codec.msgpack_decode(b"\xdd\xff\xff\xff\xff"),
    "a claim in a claim": lambda: codec.msgpack_decode(b"\xdc\xff\xff" * 500 + bytes(70_000)),
    "a claim of 4 GiB": lambda: codec.msgpack_decode(b"\xc6\xff\xff\xff\xffabc"),
    "a bincode claim": lambda: codec.bincode_decode(b"\xfd" + b"\xff" * 8, list[int]),
    "a bincode string": lambda: codec.bincode_decode(b"\xfc\xff\xff\xff\xff", str),
    "deep lists": lambda: codec.msgpack_encode(DEEP),
    "deep records": lambda: codec.encode(chain(10_000)),
}


@pytest.mark.parametrize("name", [name for name in sorted(BOMBS) if not name.startswith("deep")])
def test_what_a_bomb_only_claims_takes_no_memory(name: str):
    tracemalloc.start()
    with pytest.raises(CorruptError):
        BOMBS[name]()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_bombs_on_a_stack_of_64_kib_end_in_a_typed_error(name: str):
    (error,) = on_a_small_stack(BOMBS[name])
    assert isinstance(error, CorruptError | ValidationError)


def test_depth_within_the_limits_works_on_a_stack_of_64_kib():
    assert on_a_small_stack(lambda: codec.msgpack_decode(codec.msgpack_encode(nested(500)))) == [None]
    assert on_a_small_stack(lambda: codec.encode(chain(15))) == [None]


def test_a_long_chain_of_records_dies_without_a_deep_stack():
    (outcome,) = on_a_small_stack(lambda: chain(100_000) and None)
    assert outcome is None


def test_many_threads_read_one_large_mapping():
    whole = bundle()
    for _ in range(20):
        record = Bundle.from_bytes(golden("bundle"), key=KEY)
        barrier, wrong = threading.Barrier(4), []

        def read(at: int, record: Bundle = record, barrier: threading.Barrier = barrier, wrong: list = wrong) -> None:
            barrier.wait()
            for turn in range(len(whole.files)):
                name = f"file_{(at * 3 + turn) % len(whole.files)}"
                if record.files[name] != whole.files[name] or record.tail != whole.tail:
                    wrong.append(name)

        threads = [threading.Thread(target=read, args=(at,)) for at in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_many_threads_read_one_lazy_field_and_get_one_object():
    for _ in range(50):
        record = Everything.from_bytes(golden("everything"), key=KEY)
        barrier, seen = threading.Barrier(4), []

        def read(record: Everything = record, barrier: threading.Barrier = barrier, seen: list[object] = seen) -> None:
            barrier.wait()
            seen.append(record.names)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(value is seen[0] for value in seen)
