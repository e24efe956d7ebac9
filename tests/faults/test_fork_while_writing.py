"""Forks in the middle of another thread's writes: SQLite keeps locks in memory, and a child must not inherit one for ever."""

import subprocess
import sys

import pytest

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


ON_THE_LOOP = """
import asyncio, os, sys
import tierstore

def wrote(path, child, timeout):
    async def write():
        async with tierstore.open(path) as store:
            await store.schemas.register(f"child.{child}", "1.0.0", b"{}", timeout=timeout)
    asyncio.run(write())

def child_of(path, number):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asyncio._set_running_loop(None)
            wrote(path, number, 4)
            code = 0
        except tierstore.ConnectionError as error:
            code = 3 if "forked in the middle of a write" in str(error) else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

async def main(path, fork):
    async with tierstore.open(path) as store:
        stop = False

        async def write(name):
            number = 0
            while not stop:
                number += 1
                await store.schemas.register(f"{name}.{number}", "1.0.0", b"{}")

        writers = [asyncio.create_task(write(name)) for name in "ab"]
        await asyncio.sleep(0.1)
        codes = [await fork(path, number) for number in range(12)]
        stop = True
        await asyncio.gather(*writers)
        return codes, len((await store.schemas.subjects("child.")).items)

async def by_the_loop(path, number):
    await asyncio.sleep(0)
    return child_of(path, number)

async def by_a_thread(path, number):
    return await asyncio.to_thread(child_of, path, number)

fork = by_the_loop if sys.argv[2] == "loop" else by_a_thread
codes, written = asyncio.run(main(sys.argv[1], fork))
print(codes, written)
assert set(codes) <= {0, 3} and (fork is by_the_loop or 0 in codes), codes
assert written == codes.count(0)
"""


@pytest.mark.parametrize("who", ["thread", "loop"])
def test_async_a_child_can_write_or_gets_the_reason_why_not(tmp_path, who):
    """A thread waits for the write. The loop itself cannot, since the write goes on in it: the child gets an error and does not hang."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", ON_THE_LOOP, str(tmp_path), who],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr


IN_A_TRANSACTION = """
import asyncio, os, sys
import tierstore

async def child(path, known):
    async with tierstore.open(path, ) as store:
        assert (await store.schemas.get(known)).subject == "known"
        try:
            await store.schemas.register("child", "1.0.0", b"{}")
        except tierstore.ConnectionError as error:
            assert "forked in the middle of a write" in str(error), error
            return 0
    return 1

async def main(path):
    async with tierstore.open(path) as store:
        known = (await store.schemas.register("known", "1.0.0", b"{}")).id
        async with store.transaction() as tx:
            await tx.schemas.register("open", "1.0.0", b"{}")
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    asyncio._set_running_loop(None)
                    code = asyncio.run(child(path, known))
                finally:
                    os._exit(code)
            assert os.waitpid(pid, 0)[1] == 0
        assert await store.schemas.get_latest("open") is not None

asyncio.run(main(sys.argv[1]))
"""


def test_async_a_child_of_an_open_transaction_reads_and_gets_the_reason_why_it_cannot_write(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", IN_A_TRANSACTION, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
