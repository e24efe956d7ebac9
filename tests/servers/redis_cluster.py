"""Three redis-servers as a cluster without replicas, the slots in thirds."""

from __future__ import annotations

import contextlib
import time

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
            *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000"),
            *("--cluster-port", str(self.bus_port), "--cluster-require-full-coverage", "no"),
        )

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5)


class RedisCluster:
    """`.urls` of the nodes, `.nodes` to stop and pause one by one."""

    def __init__(self) -> None:
        self.nodes = [ClusterNode() for _ in range(NODES)]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(node.url.removesuffix("/0") for node in self.nodes)

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            with node.client() as client:
                start, end = number * SLOTS // NODES, (number + 1) * SLOTS // NODES
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER ADDSLOTSRANGE", start, end - 1)
                if node is not first:
                    client.execute_command("CLUSTER MEET", "127.0.0.1", first.port, first.bus_port)
        self._await_agreement()

    def _await_agreement(self) -> None:
        until = time.monotonic() + START_S
        while not all(self._knows_all(node) for node in self.nodes):
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
        with source.client() as one, target.client() as other:
            owner = other.execute_command("CLUSTER MYID")
            for client in (other, one):
                client.execute_command("CLUSTER SETSLOT", slot, "NODE", owner)

    def restore(self) -> None:
        for node in self.nodes:
            node.restore()

    def close(self) -> None:
        for node in self.nodes:
            node.close()
