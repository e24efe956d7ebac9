"""Every name in Redis begins with the configured prefix: an account that may use no other runs a store, and two prefixes share nothing."""

from __future__ import annotations

import pytest
import redis

from tests.tiers.test_servers import Two
from tierstore.config import CacheConfig, Config, PostgresConfig, RedisConfig, SentinelConfig

CONTENT = b'{"type": "object"}'
PATIENT_S = 2.0
"""How long Redis may take: names are looked at here, and a busy machine needs more than the 50 ms after which a read goes without it."""
USER, PASSWORD = "app", "only-for-tests"
RIGHTS = (
    "resetkeys resetchannels ~app:* &app:* -@all +@connection +@read +@write +@scripting +@pubsub +info +cluster|slots"
)


class Fleet:
    """Redis servers with an account that may use names that begin with `app:` only."""

    def __init__(self, servers) -> None:
        self.servers = servers

    def clients(self):
        return [redis.Redis(port=server.port, socket_timeout=5) for server in self.servers]

    def __enter__(self):
        for client in self.clients():
            client.flushall()
            client.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{PASSWORD}", *RIGHTS.split())
            client.execute_command("ACL", "LOG", "RESET")
        return self

    def __exit__(self, *error):
        for client in self.clients():
            client.execute_command("ACL", "DELUSER", USER)

    def names(self):
        return [name.decode() for client in self.clients() for name in client.keys("*")]

    def refusals(self):
        return [line for client in self.clients() for line in client.execute_command("ACL", "LOG")]


def single(request):
    server = request.getfixturevalue("redis_server")
    return Fleet([server]), {"url": f"redis://{USER}:{PASSWORD}@127.0.0.1:{server.port}"}


def sentinel(request):
    servers = request.getfixturevalue("redis_sentinel")
    where = SentinelConfig(servers.hosts, servers.service, password=PASSWORD, username=USER)
    return Fleet([servers.primary]), {"sentinel": where}


def cluster(request):
    servers = request.getfixturevalue("redis_cluster")
    urls = tuple(url.replace("//", f"//{USER}:{PASSWORD}@") for url in servers.urls)
    return Fleet(servers.nodes), {"cluster": urls}


def config_of(database, where, prefix="app:"):
    return Config(
        postgres=PostgresConfig(database, max_connections=8, min_connections=1),
        redis=RedisConfig(**where, prefix=prefix, soft_timeout=PATIENT_S, hard_timeout=PATIENT_S),
        cache=CacheConfig(warm_on_start=False),
    )


@pytest.mark.parametrize("topology", [single, sentinel, cluster])
def test_an_account_for_one_prefix_runs_a_store(request, face, database, topology):
    fleet, where = topology(request)

    async def story():
        async with Two(face, config_of(database, where)) as two:
            here, there = two.stores
            await two.fresh()
            schema = await here.schemas.register("orders", "1.0.0", CONTENT)
            runtime = two.runtimes[1]
            names = set()
            for state in ("deprecated", "active"):
                changed = await here.schemas.set_state(schema.id, state)
                token = here.token()
                assert (await there.schemas.get(schema.id, not_before=token)).state == state
                await two.until(lambda: not two.engine(1).unconfirmed)
                hits = two.engine(1).statistics()["l2_hits"]
                while two.engine(1).statistics()["l2_hits"] == hits:
                    names.update(fleet.names())
                    two.engine(1).flush()
                    assert (await there.schemas.get(schema.id)).row_version == changed.row_version
                    await runtime.sleep(0.01)
            assert {engine.carriers.carrying for engine in map(two.engine, (0, 1))} == {"redis"}
            for store in two.stores:
                assert (await store.health()).ok
        return names

    with fleet:
        names = face.run(story)
        assert fleet.refusals() == []
        assert {name.split(":")[1].partition("{")[0] for name in names} >= {"ts1", "ts1.floor", "ts1.sequence"}
        assert all(name.startswith("app:") for name in names)


def test_two_prefixes_read_nothing_of_each_other(face, database, redis_server):
    client = redis.Redis.from_url(redis_server.url)

    def kept(prefix, id):
        return [name for name in client.keys(f"{prefix}ts1:*") if name.endswith(id.encode())]

    async def story():
        async with Two(face, config_of(database, {"url": redis_server.url}, "one:")) as one:
            here, there = one.stores
            await one.fresh()
            schema = await here.schemas.register("orders", "1.0.0", CONTENT)
            while not kept("one:", schema.id):
                one.engine(1).flush()
                await there.schemas.get(schema.id)
                await one.runtimes[1].sleep(0.01)
            async with Two(face, config_of(database, {"url": redis_server.url}, "two:")) as two:
                await two.fresh()
                assert await two.stores[0].schemas.get(schema.id) == schema
                counted = two.engine(0).statistics()
                assert (counted["l2_hits"], counted["l2_misses"]) == (0, 1)

    redis_server.flush()
    with client:
        face.run(story)
