"""All servers of a run, each started when it is first asked for and closed with the fleet."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import GivenPostgres, Postgres
from tests.servers.redis import GivenRedis, Redis
from tests.servers.s3 import S3, GivenS3

S = TypeVar("S")


class Fleet:
    """`postgres`, `redis`, `s3` and `pgbouncer`: addresses given in the environment win over servers of our own."""

    def __init__(self) -> None:
        self._running: dict[str, Any] = {}

    def _once(self, name: str, make: Callable[[], S]) -> S:
        if name not in self._running:
            server: Any = make()
            if hasattr(server, "folder"):
                server.start()
            self._running[name] = server
        server_of_ours: S = self._running[name]
        return server_of_ours

    @property
    def postgres(self) -> Postgres | GivenPostgres:
        url, replica = (os.environ.get(f"TIERSTORE_TEST_POSTGRES_{part}URL") for part in ("", "REPLICA_"))
        return self._once("postgres", lambda: GivenPostgres(url, replica) if url else Postgres())

    @property
    def pgbouncer(self) -> PgBouncer:
        """Of our own, before whichever PostgreSQL is used."""
        return self._once("pgbouncer", lambda: PgBouncer(self.postgres.url))

    @property
    def redis(self) -> Redis | GivenRedis:
        url = os.environ.get("TIERSTORE_TEST_REDIS_URL")
        return self._once("redis", lambda: GivenRedis(url) if url else Redis())

    @property
    def s3(self) -> S3 | GivenS3:
        url = os.environ.get("TIERSTORE_TEST_S3_URL")
        return self._once("s3", lambda: GivenS3(url) if url else S3())

    def restore(self) -> None:
        """After a test that stopped, killed or paused some of them: all run again."""
        for server in self._running.values():
            server.restore()

    def close(self) -> None:
        for server in self._running.values():
            server.close()
        self._running.clear()
