"""Three redis-servers as a cluster, the slots in thirds; the first with a replica where a test asks for one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import redis

from tests.servers.process import START_S, free_port
from tests.servers.redis import Redis

NODES = 3
SLOTS = 16_384


class ClusterNode(Redis):
    name = "redis-node"

    def __init__(self) -> None:
        self.bus_port = free_port()
        super().__init__(
            *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "1000"),
            *(
                "--repl-diskless-sync-delay",
                "0",
                "--cluster-port",
                str(self.bus_port),
                "--cluster-require-full-coverage",
                "no",
            ),
        )

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5)


class RedisCluster:
    """`.urls` of the nodes, `.nodes` to stop and pause one by one, `.replica` of the first of them."""

    def __init__(self, *, replica: bool = False) -> None:
        self.nodes = [ClusterNode() for _ in range(NODES)]
        self.replica = ClusterNode() if replica else None

    @property
    def _all(self) -> list[ClusterNode]:
        return [*self.nodes, *([self.replica] if self.replica else [])]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(node.url.removesuffix("/0") for node in self.nodes)

    def start(self) -> None:
        for node in self._all:
            node.start()
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            with node.client() as client:
                start, end = number * SLOTS // NODES, (number + 1) * SLOTS // NODES
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER ADDSLOTSRANGE", start, end - 1)
        for node in self._all[1:]:
            with node.client() as client:
                client.execute_command("CLUSTER MEET", "127.0.0.1", first.port, first.bus_port)
        self._await(lambda: all(self._knows_all(node) for node in self._all))
        if self.replica is not None:
            self._follow(self.replica, first)

    def _follow(self, replica: ClusterNode, first: ClusterNode) -> None:
        with first.client() as one, replica.client() as client:
            client.execute_command("CLUSTER REPLICATE", one.execute_command("CLUSTER MYID"))
            self._await(lambda: client.info("replication").get("master_link_status") == "up")

    def await_promotion(self) -> None:
        """Return when the replica has taken the first node's place, and the others know."""
        assert self.replica is not None
        others, port = [self.replica, *self.nodes[1:]], self.replica.port
        with self.replica.client() as client:
            self._await(lambda: client.info("replication")["role"] == "master")
        self._await(lambda: all(self._knows_all(node) and port in _owners(node) for node in others))

    def _await(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + START_S
        while not condition():
            if time.monotonic() > until:
                raise RuntimeError(f"the cluster did not form within {START_S:.0f} s:\n{self.nodes[0].tail()}")
            time.sleep(0.02)

    def _knows_all(self, node: ClusterNode) -> bool:
        with node.client() as client, contextlib.suppress(redis.RedisError):
            info = client.cluster("INFO")
            return info["cluster_state"] == "ok" and len(client.execute_command("CLUSTER SLOTS")) == NODES
        return False

    def flush(self) -> None:
        for node in self.nodes:
            node.flush()

    def move_slot(self, slot: int, source: ClusterNode, target: ClusterNode) -> None:
        """Give an empty slot, or one whose keys may be lost, to another node."""
        with target.client() as client:
            owner = client.execute_command("CLUSTER MYID")
        for node in (target, source):
            self._assign(node, slot, owner)

    def _assign(self, node: ClusterNode, slot: int, owner: str) -> None:
        """A node that holds keys of the slot refuses: what somebody's late command left there is lost too."""
        with node.client() as client:

            def assigned() -> bool:
                with contextlib.suppress(redis.ResponseError):
                    client.execute_command("CLUSTER SETSLOT", slot, "NODE", owner)
                    return True
                node.flush()
                return False

            self._await(assigned)

    def restore(self) -> None:
        for node in self.nodes:
            node.restore()

    def close(self) -> None:
        for node in self._all:
            node.close()


def _owners(node: ClusterNode) -> set[int]:
    """The ports of those who own slots, as one node knows it."""
    with node.client() as client:
        return {port for _, _, (_, port, *_), *_ in client.execute_command("CLUSTER SLOTS")}
