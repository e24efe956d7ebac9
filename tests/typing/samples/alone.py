"""A user of the cache, the codec and the errors alone."""

import builtins
from typing import assert_type

import tierstore
from tierstore import Cache, CacheStats, Placement, Record, SizeRouter, VectorClock


class Point(Record, kind=900, revision=1):
    name: str
    x: int = 0


def use_records(point: Point) -> None:
    assert_type(point.name, str)
    assert_type(bytes(point), bytes)
    assert_type(tierstore.codec.encode(point), bytes)
    point.name = "other"  # error: misc


def use_cache() -> None:
    cache: Cache[str, int] = Cache(max_entries=10)
    assert_type(cache.get("a"), int | None)
    assert_type(cache.get_many(["a"]), list[int | None])
    assert_type(cache.invalidate("a"), bool)
    assert_type(cache.stats(), CacheStats)
    assert_type(cache.stats().hit_ratio, float)
    cache.put("a", "text")  # error: arg-type


def use_core() -> None:
    assert_type(SizeRouter().route(b"content"), Placement)
    assert_type(VectorClock({"a": 1}).merge(VectorClock({})), VectorClock)


def use_errors(error: Exception) -> None:
    if isinstance(error, tierstore.ValidationError):
        assert_type(error.place, str | None)
    refused: builtins.ConnectionError = tierstore.ConnectionError("cannot reach it")
    late: builtins.TimeoutError = tierstore.PoolTimeoutError("no connection became free")
    print(refused, late)
    tierstore.StorageError("too", "many")  # error: call-arg
