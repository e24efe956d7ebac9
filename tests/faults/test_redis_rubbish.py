"""Rubbish in Redis, of any type under any of our names, costs a miss: never a wrong value, an error or a job."""

from __future__ import annotations

import os
import random
from typing import Any

import orjson
import pytest
import redis

from tests.contract.test_redis_channel import PATIENT_S, alone
from tierstore.backends import Change, Echo, Gap, Invalidated
from tierstore.plan.keys import Namespace, channel_names, floor_key, hand_over_key, lease_key

TYPES = ("string", "list", "set", "hash", "sorted set", "stream")
DRAW = random.Random(20)


def litter(server: redis.Redis, key: str, kind: str) -> None:
    server.delete(key)
    junk = DRAW.randbytes(DRAW.randrange(64))
    match kind:
        case "string":
            server.set(key, junk)
        case "list":
            server.rpush(key, junk)
        case "set":
            server.sadd(key, junk)
        case "hash":
            server.hset(key, mapping={"stream": junk, "number": junk})
        case "sorted set":
            server.zadd(key, {junk: 1.0})
        case _:
            server.xadd(key, {"a": junk})


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", [str, lease_key, floor_key, hand_over_key])
def test_a_value_a_lease_or_a_floor_that_is_none_is_missing(client, redis_server, kind, name):
    own = client(url=redis_server.url, patient=True)
    with redis.Redis.from_url(redis_server.url) as server:
        for step in (lambda: own.get("a"), lambda: own.load("a", b"two"), lambda: own.invalidate("a")):
            own.load("a", b"one")
            litter(server, name(own.key("a")), kind)
            step()
            assert own.get("a") in ([None], [b"one"], [b"two"])
        own.lease("a")
        litter(server, name(own.key("a")), kind)
        own.fill("a", b"two", seeding=True)
        own.run("release_many", [own.key("a")], token=b"another")
        own.invalidate("a", floor=300)
        assert own.get("a") == [None]
        assert own.fill("a", b"three", seeding=own.lease("a").seeding, as_of=400)
        assert own.get("a") == [b"three"]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("part", ["sequence", "pings", "relay"])
def test_a_sequence_or_a_list_of_pings_that_is_none_begins_anew(face, redis_server, kind, part):
    name = os.urandom(6).hex()
    with redis.Redis.from_url(redis_server.url) as server:
        key = getattr(channel_names(Namespace("", name)), part)
        litter(server, key, kind)
        member = alone(face, redis_server.url, name)
        litter(server, key, kind)
        member.receive(0.05)
        litter(server, key, kind)
        member.run("publish", [Change("ts1:{x:1}:schema:a", 7)])
        member.until(Invalidated)
        heard: list[Any] = []
        for _ in range(100):
            member.relay()
            heard += member.receive(0.05)
            if any(isinstance(event, Echo) for event in heard):
                break
        else:
            raise AssertionError(f"no echo but {heard}")
        member.close()


def _bodies() -> list[bytes]:
    scalars = [
        None,
        1,
        -1,
        2**70,
        1.5,
        "a",
        "x nan",
        [],
        {},
        [[]],
        True,
        [1, 2, 3],
        ["k", "v"],
        [["k", "v"]],
        [[1, 2]],
        [None],
    ]
    bodies = [
        {field: value}
        for field in ("changes", "echoes")
        for value in scalars
        if not isinstance(value, int) or value < 2**60
    ]
    return [orjson.dumps(body) for body in bodies] + [DRAW.randbytes(20) for _ in range(50)] + [b"", b"[", b"[]", b"7"]


def test_a_message_of_any_form_is_an_event_or_a_gap(face, redis_server):
    name = os.urandom(6).hex()
    member = alone(face, redis_server.url, name)
    with redis.Redis.from_url(redis_server.url) as server:
        channel = channel_names(Namespace("", name)).channel
        for body in _bodies():
            server.publish(channel, body)
            server.publish(channel, b"stream:%d:%b" % (DRAW.randrange(10), body))
    member.run("publish", [Change("ts1:{x:1}:schema:last", 7)])
    events: list[Any] = []
    while not any(isinstance(event, Invalidated) and event.changes[0].key.endswith("last") for event in events):
        events += member.until(Invalidated, PATIENT_S)
    assert all(isinstance(event, Gap | Invalidated) for event in events), "no echo that nobody asked for"
    for event in events:
        if isinstance(event, Invalidated):
            assert all(isinstance(key, str) and isinstance(version, int) for key, version in event.changes)
    member.close()
