"""Ctrl-C in the blocking face, at every place where it can come: nothing is held for ever, and nothing that is cached is old."""

import gc
import signal
import sys

import psycopg_pool
import pytest

import tierstore
from tests.faults.interrupts import Interrupter
from tierstore.backends.redis.wire import pack

pytestmark = pytest.mark.filterwarnings("ignore")  # coroutines that were interrupted before they began
STRIDE = {"sqlite": 1, "servers": 5}
"""On servers every fifth place: the places on the way to them are the same, and each turn takes ten times as long."""
SOON_S = 5


@pytest.fixture(autouse=True)
def _ctrl_c():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _warnings_that_cannot_be_given(monkeypatch):
    """Of a coroutine that was interrupted before it began Python warns wherever the collector finds it, and fails where there are no
    builtins, as in a namedtuple's constructor. pytest would keep that error, with its frames, and a connection that they hold.
    An interrupt within a finaliser is dropped too.
    """
    failed = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: failed.append(repr(unraisable.exc_value)))
    yield
    assert set(failed) <= {"KeyError('__import__')", "KeyboardInterrupt()"}


@pytest.fixture(params=["sqlite", "servers"])
def backend(request):
    return request.param


@pytest.fixture
def store(request, backend, tmp_path):
    cache = tierstore.CacheConfig(warm_on_start=False)
    config = tierstore.Config(tmp_path / "store", cache=cache)
    if backend == "servers":
        redis = request.getfixturevalue("redis_server")
        redis.flush()
        pool = tierstore.PostgresConfig(request.getfixturevalue("database"), max_connections=4, min_connections=2)
        config = tierstore.Config(postgres=pool, redis=tierstore.RedisConfig(redis.url), cache=cache)
    with tierstore.blocking.open(config) as opened:
        yield opened


def watched(file):
    return "tierstore/" in file or file.endswith("contextlib.py") or file.startswith(psycopg_pool.__path__[0])


class Calls:
    """What is interrupted. Each may be called any number of times."""

    def __init__(self, store):
        self.store = store
        self.known = store.schemas.register("known", "1.0.0", b"{}")
        self.turn = 0

    def _next(self):
        self.turn += 1
        return self.turn

    def register(self):
        self.store.schemas.register(f"new.{self._next()}", "1.0.0", b"{}")

    def set_state(self):
        now = self.store.schemas.get(self.known.id, read="latest").state
        self.store.schemas.set_state(self.known.id, "deprecated" if now == "active" else "active")

    def get(self):
        self.store.schemas.get_latest(f"nobody.{self._next()}")

    def list(self):
        self.store.schemas.list("known")

    def transaction(self):
        with self.store.transaction() as tx:
            tx.schemas.register(f"held.{self._next()}", "1.0.0", b"{}")


def settled(store):
    """Whether no connection is in use, a moment from now at the latest: jobs use one now and then."""
    gc.collect()
    return any(store.statistics().pool["in_use"] == 0 for _ in range(2000))


@pytest.mark.parametrize("call", ["register", "set_state", "get", "list", "transaction"])
def test_an_interrupted_call_leaves_the_store_as_it_was(store, backend, call):
    calls, interrupter, at = Calls(store), Interrupter(watched), 1
    interrupted = getattr(calls, call)
    while interrupter.run(interrupted, at):
        where = f"after an interrupt at place {at}, {interrupter.where}"
        try:
            store.schemas.register(f"after.{at}", "1.0.0", b"{}", timeout=SOON_S)
            store.schemas.list("known", timeout=SOON_S)
            cached = store.schemas.get(calls.known.id, timeout=SOON_S)
        except tierstore.StorageError as error:
            raise AssertionError(where) from error
        assert cached.row_version == store.schemas.get(calls.known.id, read="latest").row_version, where
        at += STRIDE[backend]
    assert at > 50, "it went by without being interrupted"
    assert settled(store), store.statistics().pool


def test_the_turn_is_free_while_somebody_keeps_the_exception(tmp_path):
    """As an interactive session does: what the frames of the interrupted call held is dropped all the same."""
    with tierstore.blocking.open(tmp_path) as store:
        calls, interrupter, kept = Calls(store), Interrupter(watched), []

        def keeping():
            try:
                calls.register()
            except KeyboardInterrupt as error:
                kept.append(error)
                raise

        at = 1
        while interrupter.run(keeping, at):
            store.schemas.register(f"after.{at}", "1.0.0", b"{}", timeout=SOON_S)
            at += 7
        assert kept


def test_what_redis_is_sent_is_packed_without_numbers(monkeypatch, request):
    """hiredis 3.5.0 crashes the process where an interrupt waits while it writes out a number."""
    sent = []

    def looking(words):
        sent.append(words)
        return pack(words)

    for module in ("commands", "link", "channel", "diagnosis"):
        monkeypatch.setattr(f"tierstore.backends.redis.{module}.pack", looking)
    url = request.getfixturevalue("redis_server").url + "/1"
    config = tierstore.Config(request.getfixturevalue("tmp_path"), redis=tierstore.RedisConfig(url))
    with tierstore.blocking.open(config) as store:
        schema = store.schemas.register("known", "1.0.0", b"{}")
        store.schemas.set_state(schema.id, "deprecated")
        store.schemas.get(schema.id)
        store.health()
    assert sent
    assert all(type(word) in (str, bytes) for words in sent for word in words)
