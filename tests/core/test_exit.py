"""A process ends with its own code while daemon threads are inside native calls: none of them takes it down."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAD = """
import threading, time
import tierstore
from tierstore import _native

class Key:
    def __init__(self, value, slow=("hash", "eq")):
        self.value, self.slow = value, slow
    def __hash__(self):
        if "hash" in self.slow: time.sleep(0.0005)
        return hash(self.value) & 7
    def __eq__(self, other):
        if "eq" in self.slow: time.sleep(0.0005)
        return self.value == other.value

class Dying:
    def __del__(self): time.sleep(0.0005)

def slow(*_): time.sleep(0.0005); return 1
def items(number):
    for part in range(3): time.sleep(0.0005); yield number + part, part
def sources():
    for part in range(3): time.sleep(0.0005); yield b'import "a.proto";' * 5_000
class Counts(dict):
    def items(self): time.sleep(0.0005); return [("a", 1)]

listened = tierstore.Cache(100, on_evict=slow)
weighed = tierstore.Cache(100, max_weight=50, weigher=slow)
plain = tierstore.Cache(100)
big = b"x" * 3_000_000
"""
CALLS = {
    "a loader": "plain.get_or_load(number, slow)",
    "a memoized function": "plain.memoize()(slow)(number)",
    "a listener": "listened.put(number, number)",
    "a listener of a tag": "listened.put(number, 1, tags=['t']); listened.invalidate_tag('t')",
    "a weigher": "weighed.put(number, number)",
    "a key's hash": "plain.put(Key(number, 'hash'), 1); plain.get(Key(number, 'hash'))",
    "a key's equality": "plain[Key(number % 9, 'eq')] = 1; plain[Key(number % 9, 'eq')]",
    "keys that are asked for together": "plain.get_many([Key(number), Key(number + 1)])",
    "an iterable of pairs": "plain.put_many(items(number))",
    "a value's destructor": "plain.put(1, Dying())",
    "values that are cleared": "plain.put(number, Dying()); plain.clear()",
    "an iterable of sources": "_native.parse_many(sources())",
    "a mapping of counts": "_native.VectorClock(Counts())",
    "work without the interpreter": "tierstore._native.digest(big)",
}
WORK = """
def work(part):
    number = part * 10**6
    while True:
        number += 1
        {call}
for part in range(4):
    threading.Thread(target=work, args=(part,), daemon=True).start()
time.sleep(0.1)
print("ended")
"""


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_daemon_thread_in_a_native_call_does_not_end_the_process(call):
    command = [sys.executable, "-c", HEAD + WORK.replace("{call}", call)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in started:
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, output) == (0, "ended\n"), errors[-500:]
