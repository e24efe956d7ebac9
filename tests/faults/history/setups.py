"""The servers of a history, and what is done to them: faults in lanes, one at a time in each lane."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from random import Random
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from tests.faults.history import truth
from tests.faults.history.links import Link, Links
from tests.servers.fleet import Fleet
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis
from tests.servers.redis_cluster import ClusterNode, RedisCluster
from tests.servers.redis_sentinel import RedisSentinel

PROCESSES = 3
SHORT_S, LONG_S = 0.4, 3.0

FaultOf = Callable[[Random], AbstractContextManager[object]]
"""It lasts as long as its block."""


def through(url: str, port: int) -> str:
    """The address by another port."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}"))


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


class Database:
    """PostgreSQL with a replica. Every process but the first comes by a link of its own."""

    def __init__(self, fleet: Fleet, links: Links) -> None:
        server: Any = fleet.postgres
        self.server: Postgres = server
        self.url = server.create_database()
        self.replica_url = server.replica_of(self.url)
        self.links = [links.to(port_of(self.url)) for _ in range(PROCESSES)]

    def environment(self, process: int) -> dict[str, str]:
        url = through(self.url, self.links[process].port) if process else self.url
        return {"DATABASE_URL": url, "DATABASE_REPLICA_URLS": self.replica_url}

    def truth_url(self) -> str:
        return self.url

    def faults(self) -> dict[str, FaultOf]:
        return {
            "replica behind": self.replica_behind,
            "replica killed": self.replica_killed,
            "slow commits": self.slow_commits,
            "database: paused": self.paused,
            "database: connections ended": self.connections_ended,
            "database: late answers": self.late_answers,
            "database: answers cut off": self.cut_off,
        }

    def heal(self) -> None:
        for link in self.links:
            link.heal()
        self.server.restore()

    def close(self) -> None:
        self.server.drop_database(self.url)

    @contextmanager
    def replica_behind(self, random: Random) -> Iterator[None]:
        with psycopg.connect(self.replica_url, autocommit=True) as replica:
            replica.execute("SELECT pg_wal_replay_pause()")
            yield
            replica.execute("SELECT pg_wal_replay_resume()")

    @contextmanager
    def replica_killed(self, random: Random) -> Iterator[None]:
        self.server.replica.kill()
        yield
        self.server.replica.start()

    @contextmanager
    def slow_commits(self, random: Random) -> Iterator[None]:
        """Every commit waits up to a tenth of a second between its decision and its answer."""
        _tell(self.server.url, f"ALTER SYSTEM SET commit_delay = {random.randrange(20_000, 100_000)}")
        _tell(self.server.url, "ALTER SYSTEM SET commit_siblings = 0")
        _tell(self.server.url, "SELECT pg_reload_conf()")
        yield
        _tell(self.server.url, "ALTER SYSTEM RESET ALL")
        _tell(self.server.url, "SELECT pg_reload_conf()")

    @contextmanager
    def paused(self, random: Random) -> Iterator[None]:
        self.server.pause()
        yield
        self.server.resume()

    @contextmanager
    def connections_ended(self, random: Random) -> Iterator[None]:
        name = urlsplit(self.url).path[1:]
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND random() < %s",
                (name, random.choice((0.3, 1.0))),
            )
        yield

    @contextmanager
    def late_answers(self, random: Random) -> Iterator[None]:
        link = random.choice(self.links)
        link.late_s = random.uniform(0.05, 0.4)
        yield
        link.heal()

    @contextmanager
    def cut_off(self, random: Random) -> Iterator[None]:
        with _cut(random.choice(self.links), random):
            yield


class PromotedDatabase(Database):
    """A primary with a synchronous replica, which takes its place once. All processes come by links, which are led to it."""

    def __init__(self, fleet: Fleet, links: Links) -> None:
        self.server = Postgres()
        self.server.start()
        self.url = self.server.create_database()
        self.replica_url = self.server.replica_of(self.url)
        _tell(self.server.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        _tell(self.server.url, "SELECT pg_reload_conf()")
        self.links = [links.to(port_of(self.url)) for _ in range(PROCESSES)]
        self._is_promoted = False

    def environment(self, process: int) -> dict[str, str]:
        return super().environment(process) | {"DATABASE_URL": through(self.url, self.links[process].port)}

    def truth_url(self) -> str:
        return self.replica_url if self._is_promoted else self.url

    def faults(self) -> dict[str, FaultOf]:
        return {
            "database: fail-over": self.fail_over,
            "database: connections ended": self.connections_ended,
            "database: late answers": self.late_answers,
            "replica behind": self.replica_behind,
        }

    @contextmanager
    def fail_over(self, random: Random) -> Iterator[None]:
        if not self._is_promoted:
            self.server.kill()
            self.server.replica.promote()
            self._is_promoted = True
            for link in self.links:
                link.lead_to(self.server.replica.port)
        yield

    @contextmanager
    def replica_behind(self, random: Random) -> Iterator[None]:
        with contextlib.nullcontext() if self._is_promoted else super().replica_behind(random):
            yield

    @contextmanager
    def connections_ended(self, random: Random) -> Iterator[None]:
        for link in self.links:
            link.lead_to(port_of(self.truth_url()))
        yield

    def heal(self) -> None:
        for link in self.links:
            link.heal()

    def close(self) -> None:
        self.server.close()


class SingleRedis:
    """Every process but the first comes by a link of its own."""

    def __init__(self, fleet: Fleet, links: Links) -> None:
        server: Any = fleet.redis
        self.server: Redis = server
        self.server.flush()
        self.links = [links.to(self.server.port) for _ in range(PROCESSES)]

    def environment(self, process: int) -> dict[str, str]:
        return (
            {"REDIS_URL": through(self.server.url.removesuffix("/0"), self.links[process].port)}
            if process
            else {"REDIS_URL": self.server.url}
        )

    def faults(self) -> dict[str, FaultOf]:
        return {
            "redis paused": self.paused,
            "redis killed, back empty": self.killed,
            "redis flushed": self.flushed,
            "redis evicts": self.evicts,
            "redis refuses writes": self.refuses_writes,
            "redis link cut one way": self.cut_off,
            "redis messages late": self.late_messages,
            "redis answers late": self.late_answers,
        }

    def heal(self) -> None:
        for link in self.links:
            link.heal()
        self.server.restore()

    def close(self) -> None:
        self.server.flush()

    @contextmanager
    def paused(self, random: Random) -> Iterator[None]:
        self.server.pause()
        yield
        self.server.resume()

    @contextmanager
    def killed(self, random: Random) -> Iterator[None]:
        self.server.kill()
        yield
        self.server.start()

    @contextmanager
    def flushed(self, random: Random) -> Iterator[None]:
        self.server.flush()
        yield

    @contextmanager
    def evicts(self, random: Random) -> Iterator[None]:
        """A third of all keys: values, leases and floors."""
        _evict(self.server.port, random)
        yield

    @contextmanager
    def refuses_writes(self, random: Random) -> Iterator[None]:
        with redis.Redis(port=self.server.port) as client:
            client.config_set("maxmemory", 1)
            yield
            client.config_set("maxmemory", 0)

    @contextmanager
    def cut_off(self, random: Random) -> Iterator[None]:
        with _cut(random.choice(self.links[1:]), random):
            yield

    @contextmanager
    def late_messages(self, random: Random) -> Iterator[None]:
        link = random.choice(self.links[1:])
        link.late_news_s = random.uniform(0.1, 1.5)
        yield
        link.heal()

    @contextmanager
    def late_answers(self, random: Random) -> Iterator[None]:
        link = random.choice(self.links[1:])
        link.late_s = random.uniform(0.01, 0.2)
        yield
        link.heal()


class SentinelRedis:
    """A primary that was cut off takes no writes: `min-replicas-to-write 1`, as docs/guarantees.md asks for."""

    def __init__(self, fleet: Fleet, links: Links) -> None:
        self._servers = RedisSentinel()
        self._servers.start()
        for server in (self._servers.primary, self._servers.replica):
            with redis.Redis(port=server.port) as client:
                client.config_set("min-replicas-max-lag", 1)
                client.config_set("min-replicas-to-write", 1)

    def environment(self, process: int) -> dict[str, str]:
        hosts = ",".join(f"{host}:{port}" for host, port in self._servers.hosts)
        return {"REDIS_SENTINEL_HOSTS": hosts, "REDIS_SENTINEL_SERVICE": self._servers.service}

    def faults(self) -> dict[str, FaultOf]:
        return {
            "redis primary stalled": self.stalled,
            "redis primary stalled until it is replaced": self.replaced,
            "redis flushed": self.flushed,
            "redis evicts": self.evicts,
        }

    def _primary(self) -> Redis:
        port = self._servers.primary_port()
        return next(one for one in (self._servers.primary, self._servers.replica) if one.port == port)

    @contextmanager
    def stalled(self, random: Random) -> Iterator[None]:
        primary = self._primary()
        primary.pause()
        yield
        primary.resume()

    @contextmanager
    def replaced(self, random: Random) -> Iterator[None]:
        primary = self._primary()
        primary.pause()
        ends = time.monotonic() + 5
        while self._primary() is primary and time.monotonic() < ends:
            time.sleep(0.05)
        time.sleep(random.uniform(0, 1.5))
        primary.resume()
        yield

    @contextmanager
    def flushed(self, random: Random) -> Iterator[None]:
        with contextlib.suppress(redis.RedisError):
            self._primary().flush()
        yield

    @contextmanager
    def evicts(self, random: Random) -> Iterator[None]:
        with contextlib.suppress(redis.RedisError):
            _evict(self._primary().port, random)
        yield

    def heal(self) -> None:
        for server in (self._servers.primary, self._servers.replica):
            server.restore()

    def close(self) -> None:
        self._servers.close()


class ClusterRedis:
    """Three nodes, whose slots move while they are used."""

    def __init__(self, fleet: Fleet, links: Links) -> None:
        self._cluster = RedisCluster()
        self._cluster.start()

    def environment(self, process: int) -> dict[str, str]:
        return {"REDIS_CLUSTER_URLS": ",".join(self._cluster.urls)}

    def faults(self) -> dict[str, FaultOf]:
        return {
            "redis slots move": self.slots_move,
            "redis node paused": self.paused,
            "redis node killed, back empty": self.killed,
            "redis node flushed": self.flushed,
        }

    @contextmanager
    def slots_move(self, random: Random) -> Iterator[None]:
        """One slot after another, those with keys first: a while its keys are on both nodes, as when an operator reshards."""
        with contextlib.suppress(redis.RedisError):
            source, target = random.sample(self._cluster.nodes, 2)
            with source.client() as client:
                keys = client.execute_command("SCAN", 0, "COUNT", 500)[1]
                slots = sorted({client.execute_command("CLUSTER KEYSLOT", key) for key in keys})
            for slot in random.sample(slots, min(len(slots), 12)):
                self._move(slot, source, target, random)
        yield

    def _move(self, slot: int, source: ClusterNode, target: ClusterNode, random: Random) -> None:
        with source.client() as one, target.client() as other:
            giver, taker = (client.execute_command("CLUSTER MYID") for client in (one, other))
            other.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", giver)
            one.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", taker)
            time.sleep(random.uniform(0, 0.05))
            while keys := one.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
                one.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "REPLACE", "KEYS", *keys)
            for client in (other, one):
                client.execute_command("CLUSTER SETSLOT", slot, "NODE", taker)

    @contextmanager
    def paused(self, random: Random) -> Iterator[None]:
        node = random.choice(self._cluster.nodes)
        node.pause()
        yield
        node.resume()

    @contextmanager
    def killed(self, random: Random) -> Iterator[None]:
        node = random.choice(self._cluster.nodes)
        node.kill()
        yield
        node.start()

    @contextmanager
    def flushed(self, random: Random) -> Iterator[None]:
        random.choice(self._cluster.nodes).flush()
        yield

    def heal(self) -> None:
        self._cluster.restore()

    def close(self) -> None:
        self._cluster.close()


SETUPS: dict[str, tuple[type[Database], type[Any]]] = {
    "single": (Database, SingleRedis),
    "sentinel": (Database, SentinelRedis),
    "cluster": (Database, ClusterRedis),
    "promotion": (PromotedDatabase, SingleRedis),
}


class Setup:
    """`lanes`: by what they are done to, the faults by their names."""

    def __init__(self, name: str, fleet: Fleet) -> None:
        database, cache = SETUPS[name]
        self.name = name
        self._links = Links()
        self.database = database(fleet, self._links)
        self.redis = cache(fleet, self._links)
        self.lanes: dict[str, dict[str, FaultOf]] = {"redis": self.redis.faults(), "database": self.database.faults()}

    def environment(self, process: int) -> dict[str, str]:
        process %= PROCESSES
        return self.database.environment(process) | self.redis.environment(process)

    def watch(self) -> None:
        truth.watch(self.database.url)

    def heal(self) -> None:
        self.redis.heal()
        self.database.heal()

    def close(self) -> None:
        self._links.close()
        self.redis.close()
        self.database.close()


@contextmanager
def _cut(link: Link, random: Random) -> Iterator[None]:
    link.cut(random.choice(("requests", "answers")))
    yield
    link.heal()


def _tell(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _evict(port: int, random: Random) -> None:
    with redis.Redis(port=port) as client:
        keys = list(client.scan_iter(count=1000))
        if keys:
            client.delete(*random.sample(keys, len(keys) // 3 + 1))
