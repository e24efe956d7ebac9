"""Forks in the middle of another thread's writes: SQLite keeps locks in memory, and a child must not inherit one for ever."""

import subprocess
import sys

WRITING = """
import os, sys, threading
import tierstore
store = tierstore.blocking.open(sys.argv[1])
stop = threading.Event()

def write():
    number = 0
    while not stop.is_set():
        number += 1
        store.schemas.register(f"parent.{number}", "1.0.0", b"{}")

writer = threading.Thread(target=write)
writer.start()
for child in range(12):
    pid = os.fork()
    if pid == 0:
        try:
            store.schemas.register(f"child.{child}", "1.0.0", b"{}", timeout=4)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0, f"child {child} could not write"
stop.set()
writer.join()
assert len(store.schemas.subjects("child.").items) == 12
store.close()
"""


def test_every_child_can_write(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", WRITING, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
