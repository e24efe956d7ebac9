"""The `Pairs` driver on one server and in a cluster, in both faces: what the contract of state does not see."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.contract.pairs_tools import TTL_MS, State
from tierstore.backends.pairs import ABSENT_TAG, KEEP_MS, Put
from tierstore.errors import InvalidKeyError, QueryError

MOST, LEAST = 2**63 - 1, -(2**63)


def where(request: pytest.FixtureRequest, place: str) -> dict[str, Any]:
    if place == "cluster":
        return {"cluster": request.getfixturevalue("redis_cluster").urls}
    return {"url": request.getfixturevalue("redis_server").url}


@pytest.fixture(params=["redis", "cluster"])
def state(request, face) -> Iterator[State]:
    made = State(face, **where(request, request.param)).open()
    yield made
    made.close()


@pytest.fixture
def other(request, state) -> redis.Redis:
    """Somebody else's client, at the same servers."""
    if state.pairs._route.single:
        client: Any = redis.Redis.from_url(request.getfixturevalue("redis_server").url)
    else:
        client = redis.RedisCluster.from_url(request.getfixturevalue("redis_cluster").urls[0])
    yield client
    client.close()


# Values and their etags


def test_a_value_comes_back_with_its_etag(state):
    etag = state.put("a", b'{"n":1}')
    (pair, absent) = state.run("get_many", ["a", "b"])
    assert (pair.value, pair.etag, absent) == (b'{"n":1}', etag, None)
    assert state.run("get_many", []) == []


def test_every_write_gives_another_etag(state):
    assert state.put("a", b"1") != state.put("a", b"1")


@pytest.mark.parametrize(
    "value", [b"", b"\0" * 40, b" " * 70, bytes(range(256)) * 400], ids=["empty", "zeros", "blanks", "100 KB"]
)
def test_values_come_back_byte_for_byte(state, value):
    state.put("a", value)
    assert state.get("a") == value
    assert state.run("pop", "a") == value


def test_others_read_a_value_as_json(state, other):
    state.put("a", b'{"n":9223372036854775807,"t":"x"}')
    text = other.get(state.prefix + "a")
    assert json.loads(text) == {"n": MOST, "t": "x"}
    assert subprocess.run(["jq", "-r", ".t"], input=text, capture_output=True, check=True).stdout == b"x\n"
    script = "process.stdout.write(JSON.parse(require('fs').readFileSync(0)).t)"
    assert subprocess.run(["node", "-e", script], input=text, capture_output=True, check=True).stdout == b"x"


def test_what_somebody_else_wrote_is_read_with_its_digest_as_etag(state, other):
    other.set(state.prefix + "a", '{"n": 2}\n')
    etag = state.etag("a")
    assert state.get("a") == b'{"n": 2}\n'
    assert state.etag("a") == etag
    assert state.put("a", b"3", expected=etag)
    assert state.put("a", b"4", expected=etag) is None
    other.incr(state.prefix + "n")
    assert state.run("increment", "n", 1, None) == 2


@pytest.mark.parametrize("make", ["hset", "rpush", "xadd"])
def test_what_is_no_string_counts_as_absent(state, other, make):
    arguments = {"hset": ("f", "v"), "rpush": ("v",), "xadd": ({"f": "v"},)}[make]
    getattr(other, make)(state.prefix + "a", *arguments)
    assert state.get("a") is None
    assert state.run("look", "a") is None
    assert state.run("left_ms", "a") is None
    assert state.run("pop", "a") is None
    assert state.run("delete", "a") is False
    assert state.run("expire", "a", 5_000) is False
    assert state.keys() == []
    assert state.put("a", b"1", expected=ABSENT_TAG)
    assert state.get("a") == b"1"


# Conditions


def test_a_value_is_put_only_where_none_is(state):
    assert state.put("a", b"1", expected=ABSENT_TAG)
    assert state.put("a", b"2", expected=ABSENT_TAG) is None
    assert state.get("a") == b"1"


@pytest.mark.parametrize("etag", ["*", "=", "0" * 32, "0" * 31, "\x1f", "\ud800", "a" * 40])
def test_an_etag_that_is_not_there_fits_nothing(state, etag):
    state.put("a", b"1")
    assert state.put("a", b"2", expected=etag) is None
    assert state.put("b", b"2", expected=etag) is None
    assert state.run("delete", "a", expected=etag) is None
    assert state.run("delete", "b", expected=etag) is False
    assert (state.get("a"), state.get("b")) == (b"1", None)


def test_delete_by_etag(state):
    etag = state.put("a", b"1")
    assert state.run("delete", "a", expected=etag) is True
    assert state.run("delete", "a") is False


# Ends


def test_ends_are_kept_replaced_and_removed(state):
    state.put("a", b"1", 5_000)
    assert 4_000 < state.run("left_ms", "a") <= 5_000
    etag = state.put("a", b"2", KEEP_MS)
    assert 4_000 < state.run("left_ms", "a") <= 5_000
    assert state.run("expire", "a", None)
    assert state.run("left_ms", "a") == KEEP_MS
    assert state.run("look", "a") == (b"2", etag, None)
    assert state.run("expire", "a", 9_000)
    assert 8_000 < state.run("left_ms", "a") <= 9_000
    assert state.etag("a") == etag
    state.put("a", b"3", None)
    assert state.run("left_ms", "a") == KEEP_MS
    state.put("new", b"3", KEEP_MS)
    assert state.run("left_ms", "new") == KEEP_MS
    assert state.run("left_ms", "absent") is None
    assert not state.run("expire", "absent", 5_000)


def test_what_has_expired_is_absent(state):
    state.put("a", b"1", 30)
    state.put("b", b"1", 30)
    state.until(lambda: state.run("look", "b") is None, "it did not expire")
    assert state.get("a") is None
    assert state.put("a", b"2", expected=ABSENT_TAG)


def test_when_a_pair_ends_is_told_by_the_server(state):
    state.put("a", b"1", 60_000)
    first, second = state.run("look", "a"), state.run("look", "a")
    assert first == second
    assert first.expires_ms is not None


# Numbers


@pytest.mark.parametrize(
    ("there", "by", "total"),
    [
        (None, 5, 5),
        ("0", -1, -1),
        ("-0", 0, 0),
        ("9007199254740993", 2, 9007199254740995),
        (str(MOST - 1), 1, MOST),
        (str(MOST), 1, None),
        (str(MOST), LEAST, -1),
        (str(LEAST + 1), -1, LEAST),
        (str(LEAST), -1, None),
        (str(LEAST), MOST, -1),
        ("-1000000000", 1, -999999999),
        ("-1000000001", 1, -1000000000),
        ("999999999", 1, 1000000000),
        ("1000000000", -1, 999999999),
        ("-5", 1000000000, 999999995),
        ("5", -1000000000, -999999995),
        (" 7\r\n", 1, 8),
        ("1.0", 1, None),
        ("1e3", 1, None),
        ("01", 1, None),
        ('"1"', 1, None),
        ("true", 1, None),
        ("", 1, None),
        ("99999999999999999999", -1, None),
        ("9" * 19, -1, None),
    ],
)
def test_increment_is_exact(state, there, by, total):
    if there is not None:
        state.put("n", there.encode(), None)
    assert state.run("increment", "n", by, 5_000) == total
    assert state.get("n") == (
        None if there is None and total is None else (str(total) if total is not None else there).encode()
    )


def test_increment_agrees_with_python(state):
    numbers = [
        0,
        1,
        -1,
        10**9,
        -(10**9),
        10**9 - 1,
        1 - 10**9,
        2**53,
        -(2**53),
        2**53 + 1,
        MOST,
        LEAST,
        10**18,
        -(10**18),
        3 * 10**9,
    ]
    for there in numbers:
        for by in numbers:
            state.put("n", str(there).encode(), None)
            total = there + by
            assert state.run("increment", "n", by, None) == (total if LEAST <= total <= MOST else None), (there, by)


def test_increment_gives_its_ttl_to_a_new_key_only(state):
    state.run("increment", "n", 1, 5_000)
    assert 4_000 < state.run("left_ms", "n") <= 5_000
    state.run("increment", "n", 1, 60_000)
    assert state.run("left_ms", "n") <= 5_000
    etag = state.etag("n")
    state.run("increment", "n", 1, None)
    assert state.etag("n") != etag


# Many keys


def test_many_are_put_read_and_deleted(state):
    puts = [Put(f"k{number}", b"%d" % number, TTL_MS) for number in range(300)]
    etags = state.run("put_many", puts)
    found = state.run("get_many", [put.key for put in puts])
    assert [(pair.value, pair.etag) for pair in found] == [
        (put.value, etag) for put, etag in zip(puts, etags, strict=True)
    ]
    assert state.run("delete_many", ["k0", "k0", "absent", "k1"]) == 2
    assert state.run("put_many", []) == []
    assert state.run("delete_many", []) == 0


def test_thousands_go_in_one_call(state):
    names = [f"k{number}" for number in range(20_000 if state.pairs._route.single else 4_000)]
    etags = state.run("put_many", [Put(name, b"1", TTL_MS) for name in names])
    assert [pair.etag for pair in state.run("get_many", names)] == etags
    assert set(state.keys(limit=1_000)) == set(names)
    assert state.run("delete_many", names) == len(names)


PREFIXES = ["%", "_", "*", "?", "[a]", "\\", "[^x]", "a-b", "ä", "{a}"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_characters_of_a_prefix_mean_themselves(state, prefix):
    names = [f"{one}{end}" for one in PREFIXES for end in ("", "1")]
    state.run("put_many", [Put(name, b"1", TTL_MS) for name in names])
    assert set(state.keys(prefix)) == {name for name in names if name.startswith(prefix)}


@pytest.mark.parametrize("limit", [1, 7, 1_000])
def test_pages_give_every_key(state, limit):
    names = {f"k{number}" for number in range(60)}
    state.run("put_many", [Put(name, b"1", TTL_MS) for name in names])
    assert set(state.keys(limit=limit)) == names


def test_pages_give_every_key_while_the_table_grows_and_shrinks(state):
    stay = {f"stay{number}" for number in range(300)}
    state.run("put_many", [Put(name, b"1", TTL_MS) for name in stay])
    found, after = set(), None
    for round in range(10_000):
        page, after = state.run("page", "stay", limit=20, after=after)
        found |= set(page)
        if after is None:
            break
        more = [f"go{number}" for number in range(2_000)]
        if round % 6 == 1:
            state.run("put_many", [Put(name, b"1", TTL_MS) for name in more])
        if round % 6 == 4:
            state.run("delete_many", more)
    assert found == stay


@pytest.mark.parametrize(
    "after", ["", "x", "1", "[]", "null", '["",0,"","0"]', '["",-1,"","0",[]]', '["",0,"","0x",[]]', '[1,0,"","0",[]]']
)
def test_a_wrong_cursor_is_refused(state, after):
    with pytest.raises(InvalidKeyError, match="cursor of a page"):
        state.run("page", "", limit=5, after=after)


def test_pages_begin_anew_on_another_server(state):
    names = {f"k{number}" for number in range(50)}
    state.run("put_many", [Put(name, b"1", TTL_MS) for name in names])
    _, after = state.run("page", "", limit=5, after=None)
    layout, number, _, at, carried = json.loads(after)
    found, after = set(carried), json.dumps([layout, number, "another", at, carried])
    while after is not None:
        page, after = state.run("page", "", limit=5, after=after)
        found |= set(page)
    assert found == names


def test_a_prefix_is_deleted_in_batches(state):
    state.run("put_many", [Put(f"{name}{number}", b"1", TTL_MS) for name in ("go", "stay") for number in range(50)])
    gone, after = state.run("delete_prefix", "go", limit=10, after=None)
    while after is not None:
        count, after = state.run("delete_prefix", "go", limit=10, after=after)
        gone += count
    assert gone == 50
    assert len(set(state.keys())) == 50


def test_what_is_kept_beside_the_values_is_no_key(state):
    watch = state.watch()
    state.put("a", b"1")
    assert state.keys() == ["a"]
    watch.close()


# Watching


def test_changes_are_told_in_order(state):
    watch = state.watch("a")
    etag = state.put("a", b"1")
    state.put("b", b"1")
    state.run("increment", "an", 1, None)
    state.run("expire", "a", 90_000)
    state.run("delete", "a")
    state.run("pop", "an")
    state.run("put_many", [Put("a1", b"1", None), Put("b1", b"1", None)])
    state.run("delete_many", ["a1", "b1"])
    heard = watch.until("delete", "a1")
    for key, kinds in {"a": ["set", "delete"], "an": ["set", "delete"], "a1": ["set", "delete"]}.items():
        assert [kind for kind, name in heard if name == key] == kinds
    assert {name for _, name in heard} == {"a", "an", "a1"}
    assert next(change.etag for change in watch.heard if change.key == "a") == etag
    watch.close()


def test_expiry_is_told(state):
    state.put("before", b"1", 3_000)
    state.put("stays", b"1", None)
    watch = state.watch()
    state.put("short", b"1", 300)
    state.put("kept", b"1", 300)
    state.run("expire", "kept", None)
    state.put("longer", b"1", 300)
    state.run("expire", "longer", 600)
    state.put("gone", b"1", 300)
    state.run("delete", "gone")
    heard = watch.until("expire", "before")
    assert {name for kind, name in heard if kind == "expire"} == {"before", "short", "longer"}
    watch.close()


@pytest.fixture
def alone(request, face) -> Iterator[State]:
    """On one server, where values are stored by plain SET while nobody watches."""
    made = State(face, **where(request, "redis")).open()
    yield made
    made.close()


def calls_of(server: redis.Redis, command: str) -> int:
    return server.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)


def test_values_are_stored_by_plain_set_until_somebody_watches(alone, redis_server):
    with redis.Redis.from_url(redis_server.url) as server:
        alone.put("a", b"0")
        scripts, sets = calls_of(server, "evalsha"), calls_of(server, "set")
        for number in range(10):
            alone.put("a", b"%d" % number)
        assert (calls_of(server, "evalsha"), calls_of(server, "set")) == (scripts, sets + 10)
        watch = alone.watch()
        for number in range(10):
            alone.put("b", b"%d" % number)
        watch.until("set", "b")
        watch.close()
        assert alone.get("b") == b"9"


def test_a_watcher_that_comes_between_two_sets_hears_the_second(alone):
    for number in range(20):
        alone.put("a", b"1")
        alone.put("a", b"1")  # from here on this link counts on nobody
        watch = alone.watch()
        etag = alone.put("a", b"%d" % number)
        watch.until("set", "a")
        assert watch.heard[0].etag == etag
        watch.close()
        with redis.Redis.from_url(alone.url) as server:
            server.delete(alone.pairs._names.mark, alone.pairs._names.stream)


def test_out_of_memory_nothing_is_written_and_what_is_there_can_go(face, redis_server):
    with redis.Redis.from_url(redis_server.url) as server:
        state = State(face, url=redis_server.url).open()
        for watched in (False, True):
            watch = state.watch() if watched else None
            etag = state.put("a", b"1")
            state.put("n", b"1")
            try:
                server.config_set("maxmemory", "1")
                for refused in (
                    lambda: state.put("a", b"2"),
                    lambda: state.put("b", b"2", expected=ABSENT_TAG),
                    lambda: state.run("put_many", [Put("b", b"1", None), Put("c", b"1", None)]),
                    lambda: state.run("increment", "n", 1, None),
                ):
                    with pytest.raises(QueryError, match="out of memory"):
                        refused()
                assert set(state.keys()) == {"a", "n"}
                assert state.etag("a") == etag
                assert state.run("expire", "a", 90_000)
                assert state.run("delete", "a")
                assert state.run("pop", "n") == b"1"
            finally:
                server.config_set("maxmemory", "0")
            if watch is not None:
                watch.until("delete", "n")
        state.close()
