"""Several processes over one store: a kill -9 loses nothing that was acknowledged, and a change is seen within a second."""

import asyncio
import time

import pytest

import tierstore
from tests.faults.worker import content

ACKNOWLEDGED = 60
SEEN_WITHIN_S = 1.0


def test_kill_9_while_writing_loses_nothing_acknowledged(deployment, processes):
    worker = processes(deployment.process("write"))
    acknowledged = [worker.stdout.readline().split() for _ in range(ACKNOWLEDGED)]
    worker.kill()
    rest = worker.stdout.read()  # with what was read ahead, which communicate() leaves out
    acknowledged += [line.split() for line in rest.splitlines() if line.count(" ") == 1]

    async def check():
        async with tierstore.open(deployment.config()) as store:
            found = await store.schemas.get_many([id for id, _ in acknowledged])
            for (id, number), schema in zip(acknowledged, found, strict=True):
                assert schema is not None, f"{id} was acknowledged and is gone"
                assert schema.content == content(int(number))
            await store.schemas.register("after.the.crash", "1.0.0", b"{}")
            stored = (await store.schemas.statistics()).total_schemas
            assert len(acknowledged) < stored <= len(acknowledged) + 9

    asyncio.run(check())


def test_a_second_process_sees_a_change_within_a_second(deployment, processes):
    async def watch():
        async with tierstore.open(deployment.config()) as store:
            schema = await store.schemas.register("watched", "1.0.0", b"{}")
            other = processes(deployment.process("change"))
            assert await asyncio.to_thread(other.stdout.readline) == "ready\n"
            for state in ("deprecated", "active", "deprecated"):
                assert (await store.schemas.get(schema.id)).state != state
                other.stdin.write(f"{schema.id} {state}\n")
                other.stdin.flush()
                changed_at = float(await asyncio.to_thread(other.stdout.readline))
                while (await store.schemas.get(schema.id)).state != state:
                    assert time.monotonic() < changed_at + SEEN_WITHIN_S, "still the old state"
                    await asyncio.sleep(0.01)
                assert (await store.schemas.get_latest("watched")).state == state

    asyncio.run(watch())


@pytest.mark.parametrize("fork", [True])
def test_a_forked_child_goes_on_by_itself(deployment, fork, tmp_path):
    """gunicorn's preload: opened in the parent, used in the child and in the parent."""
    code = """
import os, sys
import tierstore
from tests.faults.worker import config
store = tierstore.blocking.open(config(sys.argv[1] or None))
first = store.schemas.register("parent", "1.0.0", b"{}")
assert store.schemas.get(first.id) == first
child = os.fork()
if child == 0:
    second = store.schemas.register("child", "1.0.0", b"{}")
    assert store.schemas.get(second.id) == second
    assert store.schemas.get(first.id) == first
    store.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert store.schemas.get_latest("child").content == b"{}"
store.close()
"""
    import os
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, str(deployment.path or "")],
        env=os.environ | deployment.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
