"""Another Redis server takes over: what the one before is told or says counts no more, however late it learns of it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.faults.redis_tools import RECOVERY_S
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_impostor import BadLink
from tests.tiers.test_servers import Two
from tierstore.backends.redis.cluster import cluster_slot
from tierstore.config import CacheConfig, Config, PostgresConfig, RedisConfig, SentinelConfig
from tierstore.errors import ConnectionError

LINKS, SCHEMAS = 6, 20


def address_of(servers):
    return SentinelConfig(servers.hosts, servers.service)


def hold_idle_links(own, count=LINKS):
    """So many calls at once."""

    async def one():
        await own.driver.get_many([own.key("a")], deadline=own.runtime.deadline(RECOVERY_S))

    async def all_of_them():
        await asyncio.gather(*(one() for _ in range(count)))

    if own.face.name == "async":
        own.face.run(all_of_them)
    else:
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda _: own.face.run(one), range(count)))


def links_to(server):
    with redis.Redis(port=server.port, socket_timeout=5) as client:
        return [one for one in client.client_list() if one["name"] == "tierstore"]


def still_reigns(own, reign):
    async def call():
        return await own.driver.still_reigns(reign, deadline=own.runtime.deadline(RECOVERY_S))

    return own.face.run(call)


def stall_and_replace(servers):
    """The primary stands still until another one has taken its place, and then goes on as if nothing had been."""
    servers.primary.pause()
    servers.await_fail_over()
    servers.primary.resume()


def test_what_a_stalled_primary_takes_after_it_was_replaced_does_not_count(redis_sentinel, client):
    own = client(sentinel=address_of(redis_sentinel), patient=True)
    own.load("a", b"one")
    hold_idle_links(own)
    reign, before = own.driver.reign, own.identity()
    assert still_reigns(own, reign)
    stall_and_replace(redis_sentinel)
    own.invalidate("a")  # over an idle link: the old primary takes it
    assert own.driver.reign == reign
    assert not still_reigns(own, reign)
    assert own.driver.reign != reign
    assert links_to(redis_sentinel.primary) == [], "all of them go at once"
    assert own.get("a") == [None]
    assert own.identity() != before
    assert still_reigns(own, own.driver.reign)


def test_the_first_link_to_another_primary_ends_those_to_the_one_before(redis_sentinel, client):
    own = client(sentinel=address_of(redis_sentinel), patient=True)
    own.load("a", b"one")
    hold_idle_links(own)
    noticed, node = [], own.driver._route.known()[0]
    own.driver.watch_reigns(lambda: noticed.append(node.reign))
    stall_and_replace(redis_sentinel)
    own.face.run(lambda: node.open_own(own.runtime.deadline(RECOVERY_S))).close()
    assert noticed == [0], "told before anybody gets an answer"
    assert links_to(redis_sentinel.primary) == []
    assert own.get("a") == [None]


def test_an_answer_that_comes_after_the_server_was_replaced_is_refused(redis_server, own_server, client):
    """Behind one address, as behind a proxy, another server answers the next handshake."""
    between = BadLink(redis_server.port)
    try:
        own = client(url=f"redis://127.0.0.1:{between.port}", patient=True)
        own.load("a", b"one")
        node = own.driver._route.known()[0]
        between.target = own_server.port

        async def meanwhile():
            link = await node.open_own(own.runtime.deadline(RECOVERY_S))
            link.close()

        exchange = node._idle[-1].exchange

        async def late(*arguments):
            replies = await exchange(*arguments)
            await meanwhile()
            return replies

        node._idle[-1].exchange = late
        assert isinstance(own.timed("get", "a").error, ConnectionError)
        assert own.get("a") == [None]
    finally:
        between.close()


def test_a_sentinel_that_lags_behind_the_others_is_not_believed(redis_sentinel, client):
    """One of them stands still during the fail-over, and is asked before it has heard of it."""
    late, *others = redis_sentinel.sentinels
    own = client(sentinel=address_of(redis_sentinel), patient=True)
    own.load("a", b"one")
    reign = own.driver.reign
    late.pause()
    redis_sentinel.primary.pause()
    replica = redis_sentinel.replica.port
    redis_sentinel._await(lambda: all(_primary_of(one) == replica for one in others))
    redis_sentinel.primary.resume()
    late.resume()
    assert not still_reigns(own, reign)
    assert own.until_it_answers("a") == [None]
    assert links_to(redis_sentinel.primary) == []


def _primary_of(sentinel):
    with sentinel.client() as client:
        return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "tiers")[1])


def test_nobody_is_believed_where_no_sentinel_answers(redis_sentinel, client):
    own = client(sentinel=address_of(redis_sentinel), patient=True)
    own.load("a", b"one")
    for sentinel in redis_sentinel.sentinels:
        sentinel.kill()
    with pytest.raises(ConnectionError, match="no Sentinel"):
        still_reigns(own, own.driver.reign)
    assert own.get("a") == [b"one"], "the links that are there go on"


def test_a_demoted_primary_that_comes_back_as_a_replica_is_not_used(redis_sentinel, client):
    own = client(sentinel=address_of(redis_sentinel), patient=True)
    own.load("a", b"one")
    stall_and_replace(redis_sentinel)
    redis_sentinel._await(lambda: _role(redis_sentinel.primary) == "slave")
    assert own.until_it_answers("a") == [None]
    assert own.load("a", b"two")
    assert links_to(redis_sentinel.primary) == []


def _role(server):
    with redis.Redis(port=server.port) as client:
        return client.info("replication")["role"]


def test_a_node_of_a_cluster_that_was_replaced_takes_nothing_that_counts(client):
    cluster = RedisCluster(replica=True)
    cluster.start()
    try:
        own = client(cluster=cluster.urls, patient=True)
        names = range(40)
        for name in names:
            own.load(name, b"%d" % name)
        reign = own.driver.reign
        assert still_reigns(own, reign)
        cluster.nodes[0].pause()
        cluster.await_promotion()
        cluster.nodes[0].resume()
        assert not still_reigns(own, reign)
        own.invalidate(*names)
        assert still_reigns(own, own.driver.reign)
        assert own.get(*names) == [None] * len(names)
    finally:
        cluster.close()


def test_a_slot_that_moves_begins_no_reign(redis_cluster, client):
    own = client(cluster=redis_cluster.urls, patient=True)
    own.get(*range(20))
    name = next(name for name in range(200) if cluster_slot(own.key(name)) < 16384 // 3)
    slot, (source, target, _) = cluster_slot(own.key(name)), redis_cluster.nodes
    reign = own.driver.reign
    redis_cluster.move_slot(slot, source, target)
    try:
        own.invalidate(name)
        assert still_reigns(own, reign)
    finally:
        target.flush()
        redis_cluster.move_slot(slot, target, source)


def test_two_processes_that_learn_of_it_at_different_times_agree_in_the_end(redis_sentinel, face, database):
    """What the old primary took from the one is delivered to the new one, too: nothing stays stale."""
    config = Config(
        postgres=PostgresConfig(database, max_connections=8, min_connections=1),
        redis=RedisConfig(sentinel=address_of(redis_sentinel)),
        cache=CacheConfig(warm_on_start=False),
    )

    async def story():
        async with Two(face, config) as two:
            here, there = two.stores
            await two.fresh()
            ids = [(await here.schemas.register(f"s{at}", "1.0.0", b"{}")).id for at in range(SCHEMAS)]
            for store in two.stores:
                await store.schemas.get_many(ids)
            redis_sentinel.primary.pause()
            while redis_sentinel.primary_port() != redis_sentinel.replica.port:
                await two.runtimes[0].sleep(0.05)
            redis_sentinel.primary.resume()
            for one in ids:
                await here.schemas.set_state(one, "deprecated")
                await there.schemas.get(one)
            ends = two.runtimes[0].monotonic() + RECOVERY_S
            while stale := [one.id for one in await there.schemas.get_many(ids) if one.state != "deprecated"]:
                assert two.runtimes[0].monotonic() < ends, f"{len(stale)} of {SCHEMAS} are stale"
                await two.runtimes[0].sleep(0.1)
            await two.until(lambda: all(two.engine(at).l2_fresh() for at in (0, 1)), 30.0)

    face.run(story)
