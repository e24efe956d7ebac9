"""State on a Redis or Valkey server of its own: shared by processes, kept through a restart of them, JSON for any other client."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import redis

import tierstore
from tierstore import Config, StateConfig


@pytest.mark.requirement("S3-08")
def test_state_on_a_server_is_shared_kept_and_readable_by_others(redis_server: Any, tmp_path: Path):
    redis_server.flush()

    def config(name: str) -> Config:
        return Config(tmp_path / name, state=StateConfig("valkey", redis_server.url))

    async def scenario() -> None:
        async with tierstore.open(config("one")) as one, tierstore.open(config("two")) as two:
            await one.state.set("polly:pr_number:abc", {"number": 2**53 + 1}, ttl=60)
            assert await two.state.get("polly:pr_number:abc") == {"number": 2**53 + 1}
            calls = [(one, two)[number % 2].state.increment("polly:count") for number in range(100)]
            assert sorted(await asyncio.gather(*calls)) == list(range(1, 101))
        async with tierstore.open(config("one")) as again:
            assert await again.state.get("polly:count") == 100
            with redis.Redis.from_url(redis_server.url) as other:
                value: Any = other.get("polly:pr_number:abc")
                assert json.loads(value) == {"number": 2**53 + 1}
                left: Any = other.pttl("polly:pr_number:abc")
                assert 0 < left <= 60_000
                other.client_kill_filter(_type="normal", skipme=True)
            assert await again.state.get("polly:count", timeout=10) == 100
            await again.state.set("short", 1, ttl=0.1)
            while await again.state.exists("short"):
                await asyncio.sleep(0.02)
            with redis.Redis.from_url(redis_server.url) as other:
                assert other.exists("short") == 0, "the server itself removes what has ended"

    asyncio.run(scenario())
