"""Where an open store may be used: on the loop that opened it, and in the process that opened it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial

import pytest

import tierstore
from tierstore import ClosedError

TRANSACTION_ACROSS_A_FORK = """
import os, sys
import tierstore
store = tierstore.blocking.open(sys.argv[1])
with store.transaction() as tx:
    tx.schemas.register("parent", "1.0.0", b"{}")
    child = os.fork()
    if child == 0:
        try:
            tx.schemas.register("child", "1.0.0", b"{}")
        except tierstore.ClosedError as error:
            os._exit(0 if "open it again in the child" in str(error) else 2)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
assert list(store.schemas.subjects().items) == ["parent"]
store.close()
"""


def test_a_store_belongs_to_the_loop_that_opened_it(tmp_path):
    with asyncio.Runner() as own:

        async def opened():
            return await tierstore.open(tmp_path)

        store = own.run(opened())
        with pytest.raises(ClosedError, match="open another one in this loop"):
            asyncio.run(store.schemas.register("elsewhere", "1.0.0", b"{}"))
        here = own.run(store.schemas.register("here", "1.0.0", b"{}"))
        for read in (
            partial(store.schemas.get, here.id),
            partial(store.schemas.get_version, "here", "1.0.0"),
            partial(store.schemas.get_latest, "here"),
        ):
            assert own.run(read()) == here
            with pytest.raises(ClosedError, match="open another one in this loop"):
                asyncio.run(read())  # although L1 has it
        own.run(store.close())


def test_an_open_transaction_does_not_cross_a_fork(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", TRANSACTION_ACROSS_A_FORK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
