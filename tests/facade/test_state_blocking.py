"""`tierstore.blocking` over state: the same calls, loops and blocks without `await`, from several threads."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import tierstore
from tierstore import ABSENT, ClosedError, Config, ConflictError, StateConfig


@pytest.fixture(params=["memory", "sql"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    return Config(tmp_path, state=StateConfig(request.param))


@pytest.mark.requirement("S3-05", "S3-07")
def test_calls_loops_and_blocks(config: Config):
    with tierstore.blocking.open(config) as store:
        state = store.state
        etag = state.set("polly:pr_number:a", 7)
        assert state.get("polly:pr_number:a") == 7
        assert state.get("polly:pr_number:a", type=int) == 7
        assert state.get("absent", default=1) == 1
        state.set("none", None)
        assert state.get("none", default=1) is None
        assert state.get_entry("polly:pr_number:a").etag == etag
        state.set_many({f"polly:x:{number}": number for number in range(5)})
        assert sorted(state.scan("polly:x:")) == [f"polly:x:{number}" for number in range(5)]
        assert state.compare_and_set("new", ABSENT, 1)
        with state.watch("polly:", idle=0.2) as changes:
            state.set("polly:b", 1)
            state.delete("polly:b")
            assert [(change.key, change.kind) for change in changes] == [("polly:b", "set"), ("polly:b", "delete")]
        with pytest.raises(ConflictError):
            state.set("new", 1, if_absent=True)
        assert state.statistics().hits >= 3
    for call in (lambda: state.get("new"), lambda: state.set("new", 1), lambda: list(state.scan())):
        with pytest.raises(ClosedError):
            call()


@pytest.mark.requirement("S3-07")
def test_threads_share_it(config: Config):
    """Increments and updates of many threads are exact, and who reads meanwhile sees whole values."""
    wrong: list[object] = []
    with tierstore.blocking.open(config) as store:
        state = store.state
        state.set("pair", [0, 0])

        def work(number: int) -> None:
            for step in range(20):
                state.increment("sum")
                state.set("pair", [step, step])
                state.set(f"own:{number}", step, ttl=60)
                one, other = state.get("pair")
                if one != other or state.get(f"own:{number}") != step:
                    wrong.append((one, other))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert state.get("sum") == 160


def test_a_watch_in_a_thread_hears_the_others(config: Config):
    heard: list[str] = []
    began = threading.Event()
    with tierstore.blocking.open(config) as store:

        def listen() -> None:
            with store.state.watch("w:", idle=20) as changes:
                began.set()
                for change in changes:
                    heard.append(change.key)
                    if change.key == "w:end":
                        return

        listener = threading.Thread(target=listen)
        listener.start()
        assert began.wait(20)
        for number in range(30):
            store.state.set(f"w:{number}", number)
        store.state.set("w:end", 1)
        listener.join(30)
    assert heard == [*(f"w:{number}" for number in range(30)), "w:end"]
