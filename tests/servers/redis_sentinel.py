"""A Redis primary, its replica, and three sentinels that fail over within about two seconds."""

from __future__ import annotations

import time

import redis

from tests.servers.process import START_S, Server, free_port
from tests.servers.programs import redis_program
from tests.servers.redis import Redis

SENTINELS, QUORUM = 3, 2
SERVICE = "tiers"


class Sentinel(Server):
    name = "redis-sentinel"

    def __init__(self, primary_port: int, quorum: int = QUORUM, *settings: str) -> None:
        """`settings`: further lines of its configuration file."""
        super().__init__()
        self.port = free_port()
        lines = (
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary_port} {quorum}\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\nsentinel failover-timeout {SERVICE} 4000\n"
        )
        (self.folder / "sentinel.conf").write_text(lines + "".join(f"{line}\n" for line in settings))

    def command(self) -> list[str]:
        return [str(redis_program()), str(self.folder / "sentinel.conf"), "--sentinel"]

    def ready(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=2)


class RedisSentinel:
    """`.hosts` of the sentinels and `.service`; `.primary` and `.replica` as they were at the start."""

    service = SERVICE

    def __init__(self) -> None:
        self.primary = Redis("--repl-diskless-sync-delay", "0")
        self.replica = Redis("--replicaof", f"127.0.0.1 {self.primary.port}")
        self.sentinels = [Sentinel(self.primary.port) for _ in range(SENTINELS)]

    @property
    def hosts(self) -> tuple[tuple[str, int], ...]:
        return tuple(("127.0.0.1", sentinel.port) for sentinel in self.sentinels)

    def start(self) -> None:
        self.primary.start()
        self.replica.start()
        for sentinel in self.sentinels:
            sentinel.start()
        self._await(self._complete)

    def _complete(self) -> bool:
        """Every sentinel knows the others and the replica, and the replica is in step."""
        with redis.Redis(port=self.replica.port) as client:
            if client.info("replication").get("master_link_status") != "up":
                return False
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                state = _pairs(client.execute_command("SENTINEL", "MASTER", SERVICE))
            if (state["num-other-sentinels"], state["num-slaves"]) != (str(SENTINELS - 1), "1"):
                return False
        return True

    def primary_port(self) -> int:
        with self.sentinels[0].client() as client:
            return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def await_fail_over(self) -> None:
        """Return when the replica has become the primary."""
        self._await(lambda: self.primary_port() == self.replica.port and self._role() == "master")

    def _role(self) -> str:
        with redis.Redis(port=self.replica.port) as client:
            return str(client.info("replication")["role"])

    def _await(self, condition) -> None:
        until = time.monotonic() + START_S
        while not condition():
            if time.monotonic() > until:
                raise RuntimeError(f"sentinel did not get there within {START_S:.0f} s:\n{self.sentinels[0].tail()}")
            time.sleep(0.05)

    def close(self) -> None:
        for server in (*self.sentinels, self.replica, self.primary):
            server.close()


def _pairs(reply) -> dict[str, str]:
    """SENTINEL MASTER as a dict, whichever form the client made of it."""
    if isinstance(reply, dict):
        return {_text(name): _text(value) for name, value in reply.items()}
    words = [_text(word) for word in reply]
    return dict(zip(words[::2], words[1::2], strict=True))


def _text(word) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)
