"""redis-server (or valkey-server) without persistence: stopped and started, it is empty."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from tests.servers.process import Given, Server, free_port
from tests.servers.programs import redis_program


class Redis(Server):
    """A single server. `noeviction`, so that state kept there is never lost in silence."""

    name = "redis"

    def __init__(self, *arguments: str) -> None:
        super().__init__()
        self.port = free_port()
        self._arguments = arguments

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "no",
            "dir": str(self.folder),
            "maxmemory-policy": "noeviction",
        }
        given = options([word for pair in settings.items() for word in pair])
        return [str(redis_program()), *given, *self._arguments]

    def ready(self) -> bool:
        return answers(self.url)

    def flush(self) -> None:
        """Remove every key of every database."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


def options(settings: Sequence[str]) -> list[str]:
    """Names and values of settings, in turn, as a command line has them."""
    return [f"--{word}" if at % 2 == 0 else word for at, word in enumerate(settings)]


class GivenRedis(Given):
    """The server of TIERSTORE_TEST_REDIS_URL."""

    def __init__(self, url: str) -> None:
        super().__init__("TIERSTORE_TEST_REDIS_URL")
        self.url = url

    flush = Redis.flush


def answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
