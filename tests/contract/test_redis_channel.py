"""The Redis carrier: what others changed, in order; echoes that prove freshness; a gap whenever something was missed."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.servers.redis import Redis
from tierstore.backends import Change, Echo, Gap, Invalidated
from tierstore.backends.redis.channel import RedisChannel
from tierstore.backends.redis.commands import Plain
from tierstore.backends.redis.key_value import route
from tierstore.config import SentinelConfig
from tierstore.errors import QueryError
from tierstore.plan.keys import Namespace
from tierstore.runtime import AsyncioRuntime

FRESH_S, PATIENT_S, WAIT_S = 0.2, 5.0, 2.0
CHANGES = [Change("ts1:{x:1}:schema:a", 7), Change("ts1:{x:2}:schema:b", 2**60)]


class Member:
    """One process's end of the channel."""

    def __init__(self, face: Any, channel: RedisChannel, runtime: Any) -> None:
        self.face = face
        self.runtime = runtime
        self.channel = channel

    def run(self, method: str, *arguments: Any) -> Any:
        async def call() -> Any:
            return await getattr(self.channel, method)(*arguments, deadline=self.runtime.deadline(PATIENT_S))

        return self.face.run(call)

    def close(self) -> None:
        self.run("close")
        self.channel._route.close()

    def receive(self, wait_s: float = WAIT_S) -> list[Any]:
        async def call() -> Any:
            return await self.channel.receive(wait_s=wait_s)

        return self.face.run(call)

    def until(self, kind: type, wait_s: float = PATIENT_S) -> list[Any]:
        """Events up to the first of a kind."""
        events: list[Any] = []
        end = time.monotonic() + wait_s
        while not any(isinstance(event, kind) for event in events):
            assert time.monotonic() < end, f"no {kind.__name__} but {events}"
            events += self.receive(0.1)
        return events

    def relay(self) -> int:
        """What the relay does, with nothing in the outbox."""
        pings = self.run("take_pings")
        self.run("echo", pings)
        return len(pings)


def alone(face, url: str, name: str) -> Member:
    """One process on a channel of its own, at that address."""
    runtime = face.runtime()
    made = Member(face, RedisChannel(runtime, route(runtime, url=url), Namespace("", name), fresh_s=FRESH_S), runtime)
    made.run("open")
    return made


@pytest.fixture(params=["redis", "cluster"])
def members(request, face) -> Iterator[list[Member]]:
    """Three processes on one channel: two that listen, and a relay."""
    where = (
        {"url": request.getfixturevalue("redis_server").url}
        if request.param == "redis"
        else {"cluster": request.getfixturevalue("redis_cluster").urls}
    )
    name, made = os.urandom(6).hex(), []
    for _ in range(3):
        runtime = face.runtime()
        channel = RedisChannel(
            runtime, route(runtime, **where), Namespace("", name), fresh_s=FRESH_S, hard_timeout_s=PATIENT_S
        )
        made.append(Member(face, channel, runtime))
        made[-1].run("open")
    yield made
    for member in made:
        member.close()


def test_changes_reach_every_process_in_order(members):
    first, second, relay = members
    relay.run("publish", CHANGES)
    first.run("publish", CHANGES[:1])
    for member in (first, second):
        events = member.until(Invalidated)
        while len(events) < 2:
            events += member.until(Invalidated)
        assert events == [Invalidated(tuple(CHANGES)), Invalidated((CHANGES[0],))]


def test_who_moves_to_another_database_listens_there(members):
    """A writer's thread may be the one that notices it, while another one listens."""
    first, second, relay = members
    namespace = Namespace("", os.urandom(6).hex())
    relay.channel.move(namespace)
    threading.Timer(FRESH_S / 8, first.channel.move, [namespace]).start()
    assert isinstance(first.until(Gap)[-1], Gap), "what was said there before is not known"
    second.run("publish", CHANGES)
    relay.run("publish", CHANGES[:1])
    assert first.until(Invalidated) == [Invalidated((CHANGES[0],))]
    assert second.until(Invalidated) == [Invalidated(tuple(CHANGES))]
    first.receive(0.1)
    assert relay.relay() > 0
    assert isinstance(first.until(Echo)[-1], Echo)


def test_nothing_to_tell_is_nothing_sent(members):
    first, second, _ = members
    first.run("publish", [])
    assert second.receive(0.05) == []


def test_an_echo_comes_after_what_was_delivered_and_only_to_its_own_process(members):
    first, second, relay = members
    before = time.monotonic()
    first.receive(0.01)
    between = time.monotonic()
    relay.run("publish", CHANGES)
    assert relay.relay() == 1
    events = first.until(Echo)
    assert events[0] == Invalidated(tuple(CHANGES))
    assert before <= events[1].sent_at <= between
    assert second.until(Invalidated) == [Invalidated(tuple(CHANGES))]


def test_pings_are_sent_every_quarter_of_h(members):
    first, _, relay = members
    end = time.monotonic() + FRESH_S
    while time.monotonic() < end:
        first.receive(0.01)
    assert 2 <= relay.relay() <= 5  # fewer where the machine is busy
    assert relay.relay() == 0


def test_pings_without_a_relay_are_bounded(members):
    first, *_ = members

    async def flood() -> None:
        for _ in range(1200):
            await first.channel._send_ping(time.monotonic())

    first.face.run(flood)
    taken = 0
    while pings := first.run("take_pings"):
        taken += len(pings)
    assert taken <= 1024


def _raw(members, *words: Any) -> Any:
    member = members[2]

    async def call() -> Any:
        return await member.channel._ask(
            [Plain(member.channel._names.sequence, words)], member.runtime.deadline(PATIENT_S)
        )

    return member.face.run(call)


def test_a_lost_message_is_a_gap(members):
    first, _, relay = members
    relay.run("publish", CHANGES)
    first.until(Invalidated)
    _raw(members, "HINCRBY", relay.channel._names.sequence, "number", 1)
    relay.run("publish", CHANGES)
    events = first.until(Invalidated)
    assert isinstance(events[0], Gap)
    relay.run("publish", CHANGES)
    assert first.until(Invalidated) == [Invalidated(tuple(CHANGES))]


def test_a_lost_message_before_an_echo_is_a_gap(members):
    first, _, relay = members
    first.receive(0.01)
    relay.run("publish", CHANGES)
    first.until(Invalidated)
    _raw(members, "HINCRBY", relay.channel._names.sequence, "number", 1)
    relay.relay()
    gap, *echoes = [type(event) for event in first.until(Echo)]
    assert gap is Gap
    assert set(echoes) == {Echo}, "one for each ping that was sent meanwhile"


def test_a_doubled_message_is_a_gap(members):
    first, _, relay = members
    relay.run("publish", CHANGES)
    first.until(Invalidated)
    _raw(members, "HINCRBY", relay.channel._names.sequence, "number", -1)
    relay.run("publish", CHANGES)
    assert isinstance(first.until(Invalidated)[0], Gap)


def test_a_wiped_sequence_is_a_gap(members):
    first, _, relay = members
    relay.run("publish", CHANGES)
    first.until(Invalidated)
    _raw(members, "DEL", relay.channel._names.sequence)
    relay.run("publish", CHANGES)
    assert isinstance(first.until(Invalidated)[0], Gap)


def test_what_cannot_be_read_is_a_gap(members):
    first, _, relay = members
    for message in (b"", b"x", b"s:1:{", b"s:x:{}", b"s:1:[]", b"\xff:1:{}"):
        _raw(members, "PUBLISH", relay.channel._names.channel, message)
        assert isinstance(first.until(Gap)[0], Gap)


def test_a_channel_that_begins_in_the_middle_has_no_gap(members, face):
    first, _, relay = members
    relay.run("publish", CHANGES)
    runtime = face.runtime()
    late = Member(face, RedisChannel(runtime, first.channel._route, Namespace("", ""), fresh_s=FRESH_S), runtime)
    late.channel._names = first.channel._names
    late.run("open")
    relay.run("publish", CHANGES[:1])
    assert late.until(Invalidated) == [Invalidated((CHANGES[0],))]
    late.run("close")


def test_a_broken_connection_is_a_gap_and_is_made_anew(redis_server, face):
    member = alone(face, redis_server.url, "broken")
    with redis.Redis.from_url(redis_server.url) as server:
        server.client_kill_filter(_type="pubsub", skipme=False)
    assert isinstance(member.until(Gap)[0], Gap)
    assert member.until(Gap) == [Gap("subscribed again")]
    member.run("publish", CHANGES)
    assert member.until(Invalidated) == [Invalidated(tuple(CHANGES))]
    member.close()


def test_a_restarted_server_is_another_epoch(redis_server, face):
    member = alone(face, redis_server.url, "again")
    redis_server.kill()
    assert isinstance(member.until(Gap)[0], Gap)
    assert member.receive(0.05) == []
    redis_server.start()
    assert member.until(Gap) == [Gap("subscribed again")]
    relay = member
    member.receive(0.01)
    assert relay.relay() >= 1
    assert isinstance(member.until(Echo)[-1], Echo)
    member.close()


def test_a_silent_connection_is_given_up(redis_server, face):
    """Paused, the server sends no reset; the subscription is asked for a sign, and then made anew."""
    member = alone(face, redis_server.url, "silent")
    redis_server.pause()
    assert isinstance(member.until(Gap, wait_s=10)[0], Gap)
    redis_server.resume()
    assert member.until(Gap, wait_s=10) == [Gap("subscribed again")]
    member.close()


def test_out_of_memory_is_no_gap(face):
    """Pings and messages cannot be stored, so that nothing is fresh; but nothing was missed."""
    server = Redis()
    server.start()
    member = alone(face, server.url, "full")
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("maxmemory", 1)
        assert [event for _ in range(5) for event in member.receive(FRESH_S / 4)] == []
        with pytest.raises(QueryError):
            member.run("publish", CHANGES)
        admin.config_set("maxmemory", 0)
    member.run("publish", CHANGES)
    assert member.until(Invalidated) == [Invalidated(tuple(CHANGES))]
    member.close()
    server.close()


def test_a_server_that_becomes_a_replica_is_a_gap(face, redis_server):
    """Its channel goes on bringing what the new primary publishes, but it may lag: it is left."""
    server = Redis()
    server.start()
    member = alone(face, server.url, "demoted")
    with redis.Redis.from_url(server.url) as admin:
        admin.replicaof("127.0.0.1", redis_server.port)
        assert isinstance(member.until(Gap)[0], Gap)
        assert member.receive(0.2) == []
        admin.replicaof("no", "one")
    assert member.until(Gap, wait_s=10) == [Gap("subscribed again")]
    member.close()
    server.close()


def test_a_fail_over_is_a_gap_and_the_new_primary_is_found(face, redis_sentinel):
    runtime, address = face.runtime(), SentinelConfig(redis_sentinel.hosts, redis_sentinel.service)
    member = Member(
        face, RedisChannel(runtime, route(runtime, sentinel=address), Namespace("", "over"), fresh_s=FRESH_S), runtime
    )
    member.run("open")
    member.run("publish", CHANGES)
    member.until(Invalidated)
    redis_sentinel.primary.kill()
    assert isinstance(member.until(Gap)[0], Gap)
    redis_sentinel.await_fail_over()
    assert member.until(Gap, wait_s=10) == [Gap("subscribed again")]
    member.run("publish", CHANGES)
    assert member.until(Invalidated) == [Invalidated(tuple(CHANGES))]
    member.close()


def test_a_receive_that_is_cancelled_loses_nothing(redis_server):
    async def scene() -> list[Any]:
        runtime = AsyncioRuntime()
        where = route(runtime, url=redis_server.url)
        channel = RedisChannel(runtime, where, Namespace("", os.urandom(4).hex()))
        await channel.open(runtime.deadline(PATIENT_S))
        events: list[Any] = []
        for number in range(60):
            waiting = asyncio.ensure_future(channel.receive(wait_s=1))
            await asyncio.sleep(0.001 * (number % 3))
            await channel.publish([Change("k", number)], deadline=runtime.deadline(PATIENT_S))
            if number % 2:
                waiting.cancel()
            (got,) = await asyncio.gather(waiting, return_exceptions=True)
            events += [] if isinstance(got, BaseException) else got
        while len(events) < 60 and (got := await channel.receive(wait_s=1)):
            events += got
        await channel.close(runtime.deadline(1))
        where.close()
        return events

    assert asyncio.run(scene()) == [Invalidated((Change("k", number),)) for number in range(60)]
