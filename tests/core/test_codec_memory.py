"""What no memory holds is a MemoryError, whichever allocation it is that fails; the process goes on."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAD = """
import resource, sys
import tierstore
from tierstore import codec, _native
from tierstore.codec import u8

MIB = 1 << 20
class Many(tierstore.Record, kind=0xE0E2, revision=1):
    items: list[str]

{make}

def used():
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()

resource.setrlimit(resource.RLIMIT_AS, (used() + 24 * MIB, -1))
try:
    {call}
except MemoryError:
    pass
else:
    sys.exit("there was memory enough")
print(len(codec.msgpack_encode([1, 2, 3])))
"""

CASES = {
    "msgpack of short texts": ("text = 'x' * 400; value = [text] * 200_000", "codec.msgpack_encode(value)"),
    "msgpack of long texts": ("text = 'x' * MIB; value = [text] * 100", "codec.msgpack_encode(value)"),
    "msgpack of a buffer": ("value = bytearray(30 * MIB)", "codec.msgpack_encode(value)"),
    "bincode of a list": ("text = 'x' * 400; value = [text] * 200_000", "codec.bincode_encode(value, list[str])"),
    "bincode of a mapping": (
        "text = 'x' * 400; value = {float(n): text for n in range(200_000)}",
        "codec.bincode_encode(value, dict[codec.f64, str])",
    ),
    "a record": ("text = 'x' * 400; value = Many([text] * 200_000)", "codec.encode(value)"),
    "a record for another key": (
        "value = codec.decode(codec.encode(Many(['x' * (30 * MIB)])))",
        "codec.encode(value, key=b'other')",
    ),
    "the digest of a record": ("text = 'x' * 400; value = Many([text] * 200_000)", "hash(value)"),
    "a list from bincode": (
        "value = codec.bincode_encode([1] * (10 * MIB), list[u8])",
        "codec.bincode_decode(value, list[u8])",
    ),
    "bytes from bincode": (
        "value = codec.bincode_encode(bytes(30 * MIB), bytes)",
        "codec.bincode_decode(value, bytes)",
    ),
    "bytes from msgpack": ("value = codec.msgpack_encode(bytes(30 * MIB))", "codec.msgpack_decode(value)"),
    "a list from msgpack": ("value = codec.msgpack_encode([1] * (10 * MIB))", "codec.msgpack_decode(value)"),
    "a stream": (
        "value = b'\\xc6' + (90 * MIB).to_bytes(4, 'big') + bytes(30 * MIB); stream = codec.MsgpackStream(max_size=1 << 40)",
        "stream.feed(value)",
    ),
    "a clock": (
        "kept = ['x' * (40 * MIB), 'y' * (40 * MIB)]; value, other = (tierstore.VectorClock({name: 1}) for name in kept)",
        "value.merge(other)",
    ),
    "json in a buffer": ("value = bytearray(120 * MIB)", "_native.check_json(value)"),
}


@pytest.mark.parametrize("case", CASES)
def test_beyond_memory_is_an_error(case):
    make, call = CASES[case]
    done = subprocess.run(
        [sys.executable, "-c", HEAD.format(make=make, call=call)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr, done.stdout.strip()) == (0, "", "4")
