"""What is stored for a value: compressed where that is smaller, sealed under keys that nobody sees, and damage of every kind told."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstore.errors import ConfigError, CorruptError
from tierstore.stores.state.envelope import COMPRESSED, SEALED, Envelope

MOST = 1_000_000
SECRET = b'"the content of a value"'


@dataclasses.dataclass(frozen=True)
class Encryption:
    keys: dict[str, bytes]
    active: str


OLD, NEW = os.urandom(32), os.urandom(32)
ENCRYPTIONS = {
    "open": None,
    "old": Encryption({"2025-01": OLD}, "2025-01"),
    "both": Encryption({"2025-01": OLD, "2026-11": NEW}, "2026-11"),
    "new": Encryption({"2026-11": NEW}, "2026-11"),
}


def envelope(keys: str = "open", compress_min: int = 64, prefix: str = "app:", most: int = MOST) -> Envelope:
    return Envelope(compress_min, ENCRYPTIONS[keys], most=most, prefix=prefix)


@pytest.mark.parametrize("keys", ENCRYPTIONS)
@given(data=st.binary(max_size=300) | st.binary(max_size=3).map(lambda one: one * 200), key=st.text(min_size=1))
def test_what_is_sealed_opens(keys: str, data: bytes, key: str):
    data = b"\x01" + data  # as an encoded value begins
    key = key.encode(errors="ignore").decode()
    assert envelope(keys).open(key, envelope(keys).seal(key, data)) == data


def test_it_is_compressed_only_where_that_is_smaller():
    plain, large, noise = b"1" * 63, b"1" * 64, b"\x01" + os.urandom(4_000)
    assert envelope().seal("k", plain) == plain
    assert envelope().seal("k", large)[:1] == COMPRESSED
    assert len(envelope().seal("k", large)) < len(large)
    assert envelope().seal("k", noise) == noise
    assert len(envelope("new").seal("k", large * 100)) < 200


def test_no_content_is_seen_in_what_is_sealed_and_no_two_seals_are_alike():
    sealed = {envelope("new").seal("k", SECRET) for _ in range(100)}
    assert len(sealed) == 100
    assert all(one[:1] == SEALED and SECRET[4:12] not in one and b"2026-11" in one for one in sealed)


@pytest.mark.parametrize(("key", "prefix"), [("other", "app:"), ("k", "app2:"), ("k", ""), (":k", "app")])
def test_a_value_that_was_moved_does_not_open(key: str, prefix: str):
    sealed = envelope("new").seal("k", SECRET)
    with pytest.raises(CorruptError, match="moved here from another key") as caught:
        envelope("new", prefix=prefix).open(key, sealed)
    assert caught.value.key == key


@pytest.mark.parametrize("keys", ["open", "new"])
def test_every_changed_bit_and_every_cut_is_corrupt_or_harmless(keys: str):
    """Of what is only compressed the sum of zlib tells; of what is sealed every bit is told."""
    stored = envelope(keys).seal("k", SECRET * 20)
    for place in range(1, len(stored)):
        changed = bytearray(stored)
        changed[place] ^= 1
        _damaged(keys, bytes(changed))
        _damaged(keys, stored[:place])
    _damaged(keys, stored + b"x")


def _damaged(keys: str, stored: bytes) -> None:
    with pytest.raises(CorruptError) as caught:
        envelope(keys).open("k", stored)
    assert b"content" not in str(caught.value).encode()
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_old_keys_open_and_the_active_one_seals():
    stored = envelope("old").seal("k", SECRET)
    assert envelope("both").open("k", stored) == SECRET
    assert b"2026-11" in envelope("both").seal("k", SECRET)
    with pytest.raises(CorruptError, match="'2025-01', which"):
        envelope("new").open("k", stored)
    with pytest.raises(CorruptError, match="StateEncryption"):
        envelope("open").open("k", stored)


def test_a_key_of_the_same_name_that_is_another_does_not_open():
    other = Envelope(64, Encryption({"2026-11": OLD}, "2026-11"), most=MOST, prefix="app:")
    with pytest.raises(CorruptError):
        other.open("k", envelope("new").seal("k", SECRET))


def test_values_from_before_encryption_are_read():
    for data in (SECRET, SECRET * 50):
        assert envelope("new").open("k", envelope("open").seal("k", data)) == data


def test_it_says_what_has_to_be_sealed_again():
    stored = {keys: envelope(keys).seal("k", SECRET * 20) for keys in ENCRYPTIONS}
    current = {keys: [name for name, data in stored.items() if envelope(keys).is_current(data)] for keys in ENCRYPTIONS}
    assert current == {"open": ["open"], "old": ["old"], "both": ["both", "new"], "new": ["both", "new"]}


@pytest.mark.parametrize("keys", ["open", "new"])
def test_a_small_value_that_expands_without_end_takes_no_memory(keys: str):
    bomb = Envelope(64, ENCRYPTIONS[keys], most=1 << 40, prefix="app:").seal("k", b"1" * 200_000_000)
    tracemalloc.start()
    with pytest.raises(CorruptError, match="max_value_bytes"):
        envelope(keys).open("k", bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * MOST + len(bomb) * 2


def test_a_value_of_exactly_the_most_bytes_opens():
    stored = envelope(most=1 << 40).seal("k", b"1" * MOST)
    assert len(envelope().open("k", stored)) == MOST
    with pytest.raises(CorruptError):
        envelope(most=MOST - 1).open("k", stored)


@pytest.mark.parametrize("stored", [b"\x02", b"\x02\x00", b"\x02\x01abc", b"\x02\x00" + zlib.compress(b"1" * 99)[:-1]])
def test_what_is_no_compressed_value_is_corrupt(stored: bytes):
    _damaged("open", stored)


@pytest.mark.parametrize("stored", [b"\x03", b"\x03\x07", b"\x03\x072026-11", b"\x03\xff2026", b"\x03\x00" + b"x" * 40])
def test_what_is_no_sealed_value_is_corrupt(stored: bytes):
    _damaged("new", stored)
    _damaged("open", stored)


def test_keys_are_nowhere_to_be_seen():
    made = envelope("both")
    with pytest.raises(CorruptError) as caught:
        made.open("k", made.seal("other", SECRET))
    shown = f"{made!r}{caught.value!r}{caught.value}{caught.value.__dict__}{vars(made)!r}"
    for key in (OLD, NEW):
        for spelled in (repr(key)[2:-1], key.hex(), json.dumps(list(key))):
            assert spelled not in shown
    assert pickle.loads(pickle.dumps(caught.value)).message == caught.value.message


def test_without_the_package_it_says_what_to_install():
    script = (
        "import sys; sys.modules['cryptography'] = None\n"
        "import types\n"
        "from tierstore.stores.state.envelope import Envelope\n"
        "Envelope(64, None, most=9)\n"
        "try: Envelope(64, types.SimpleNamespace(keys={'a': bytes(32)}, active='a'), most=9)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.startswith(ConfigError.__name__)
    assert "tierstore[encryption]" in done.stdout
