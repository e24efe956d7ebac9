"""State as a file and back, and sealed anew: between places, through interruptions, with ends that pass meanwhile."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
import redis

from tests.contract.state_stores import state_config, state_of
from tierstore import CorruptError, StateEncryption, TimeoutError, ValidationError

OLD, NEW = os.urandom(32), os.urandom(32)
BOTH = StateEncryption({"old": OLD, "new": NEW}, "new")


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis", "cluster"])
def place(request):
    return request.param


@pytest.fixture(params=["async", "blocking"])
def face_name(request):
    return request.param


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_exported_comes_back_the_same(request, tmp_path, place, face_name):
    path, values = tmp_path / "state.jsonl", {f"k:{number}": {"n": number, "t": "é" * 50} for number in range(230)}

    async def export(state):
        await state.set_many(values, ttl=3_600)
        await state.set("k:raw", b"\x00\x01", ttl=None)
        await state.set("k:none", None)
        await state.set("k:gone", 1, ttl=0.001)
        await state.set("other", 1)
        seen = []
        report = await state.export(path, prefix="k:", progress=lambda done, total: seen.append((done, total)))
        assert (report.exported, report.unreadable) in ((232, 0), (233, 0))
        assert seen[-1][0] >= 232
        assert all(done <= total for done, total in seen)
        ends = (await state.get_entry("k:7")).expires_at
        await state.delete_prefix("k:")
        return ends

    async def import_(state, ends):
        await state.set("k:7", "already there")
        skipped = await state.import_(path, existing="skip")
        assert (skipped.stored, skipped.skipped) == (231, 1)
        assert await state.get("k:7") == "already there"
        imported = await state.import_(path)
        assert (imported.stored, imported.skipped) == (232, 0)
        assert await state.get_many(list(values)) == list(values.values())
        assert await state.get("k:raw") == b"\x00\x01"
        assert await state.ttl("k:raw") == float("inf")
        assert (await state.get_entry("k:none")).value is None
        assert not await state.exists("k:gone")
        assert abs(((await state.get_entry("k:7")).expires_at - ends).total_seconds()) < 5

    with state_of(state_config(request, place, tmp_path / "one", encryption=BOTH), place, face_name) as opened:
        ends = opened.run(export)
    assert path.stat().st_mode & 0o077 == 0
    with state_of(state_config(request, place, tmp_path / "two", compress_min=64), place, face_name) as opened:
        opened.run(import_, ends)


def test_an_interrupted_export_is_resumed(request, tmp_path, face_name):
    path = tmp_path / "state.jsonl"

    async def scenario(state):
        await state.set_many({f"k:{number:03}": number for number in range(250)})

        def interrupt(done, total):
            raise TimeoutError("as if the time had run out")

        with pytest.raises(TimeoutError):
            await state.export(path, resume=True, progress=interrupt)
        partial = tmp_path / ".state.jsonl.partial"
        assert not path.exists()
        written = len(lines(partial)) - 1
        assert 0 < written < 250
        with partial.open("a") as file:
            file.write('{"key": "torn')
        report = await state.export(path, resume=True)
        assert report.exported == 250
        assert sorted(line["key"] for line in lines(path)[1:]) == [f"k:{number:03}" for number in range(250)]
        with pytest.raises(TimeoutError):
            await state.export(tmp_path / "other.jsonl", progress=interrupt)
        assert not list(tmp_path.glob("*other*"))

    with state_of(state_config(request, "sqlite", tmp_path / "store"), "sqlite", face_name) as opened:
        opened.run(scenario)


def test_keys_of_other_programs_that_are_none_of_state_are_left_out(request, tmp_path, redis_server):
    """`keys` shows them; an import would refuse the whole file for one of them."""
    path, prefix = tmp_path / "state.jsonl", f"{os.urandom(4).hex()}:"
    strange = ("k:\x01", "k:\x7f", "k:" + "x" * 1_100)

    async def export(state):
        await state.set("k:own", 1)
        assert {key async for key in state.scan("k:")} == {"k:own", *strange}
        report = await state.export(path)
        assert (report.exported, report.unreadable, report.patterns) == (1, len(strange), ("k:*",))

    async def import_(state):
        assert (await state.import_(path)).stored == 1

    with redis.Redis.from_url(redis_server.url) as server:
        for key in strange:
            server.set(prefix + key, b"1")
    config = state_config(request, "redis", tmp_path / "one", prefix=prefix)
    with state_of(config, "redis", "async") as opened:
        opened.run(export)
    with state_of(state_config(request, "memory", tmp_path / "two"), "memory", "async") as opened:
        opened.run(import_)


def test_a_file_that_is_none_is_refused_with_its_line(request, tmp_path):
    path = tmp_path / "state.jsonl"

    async def scenario(state):
        await state.set_many({"a": 1, "b": 2, "c": 3})
        await state.export(path)
        await state.delete_many(["a", "b", "c"])
        whole = path.read_text().splitlines(keepends=True)
        for change, error in [
            (lambda line: line.replace('"size":1', '"size":9'), ValidationError),
            (lambda line: line.replace("MQ==", "Mg=="), CorruptError),
            (lambda line: line.replace('"key":"a"', '"key":"a\\u0001"'), ValidationError),
            (lambda line: line.replace('"key":"a"', '"kay":"a"'), ValidationError),
            (lambda line: line.replace('"expires_at":"', '"expires_at":"never'), ValidationError),
            (lambda line: line[:20], ValidationError),
        ]:
            path.write_text("".join(change(line) for line in whole))
            with pytest.raises(error) as caught:
                await state.import_(path)
            assert "line" in str(caught.value)
        path.write_text('{"tierstore":"schemas","format":1}\n')
        with pytest.raises(ValidationError):
            await state.import_(path)
        with pytest.raises(ValidationError, match="existing must be"):
            await state.import_(path, existing="both")
        assert await state.get_many(["a", "b", "c"]) == [None, None, None]

    with state_of(state_config(request, "memory", tmp_path / "store"), "memory", "async") as opened:
        opened.run(scenario)


@pytest.mark.requirement("S3-30")
def test_values_are_sealed_anew_by_the_active_key(request, tmp_path, place, face_name):
    """The same place under three configurations: on memory one store is enough to show that nothing is left to do."""
    if place == "memory":
        with state_of(state_config(request, place, tmp_path, encryption=BOTH), place, face_name) as opened:
            opened.run(_already_sealed)
        return
    config = state_config(request, place, tmp_path)

    def at(encryption):
        return state_of(replace(config, state=replace(config.state, encryption=encryption)), place, face_name)

    with at(None) as opened:
        opened.run(_set, "plain")
    with at(StateEncryption({"old": OLD}, "old")) as opened:
        opened.run(_set, "old")
    with at(BOTH) as opened:
        assert opened.run(_rekey) == (230, 230, 0)
        assert opened.run(_rekey) == (230, 0, 0)
    with at(StateEncryption({"new": NEW}, "new")) as opened:
        opened.run(_check)
    with at(None) as opened:
        assert opened.run(_rekey) == (230, 0, 230)
        with pytest.raises(CorruptError):
            opened.run(lambda state: state.get("old:1"))


async def _set(state, prefix):
    await state.set_many({f"{prefix}:{number}": number for number in range(115)}, ttl=3_600)


async def _rekey(state):
    report = await state.rekey()
    return report.checked, report.sealed, report.unreadable


async def _check(state):
    for prefix in ("plain", "old"):
        assert await state.get_many([f"{prefix}:{number}" for number in range(115)]) == list(range(115))
        assert 3_000 < await state.ttl(f"{prefix}:3") <= 3_600
        assert await state.increment(f"{prefix}:3") == 4


async def _already_sealed(state):
    await _set(state, "k")
    assert await _rekey(state) == (115, 0, 0)
    assert await state.get("k:5") == 5


@pytest.mark.requirement("S3-29")
def test_large_values_are_stored_smaller_and_come_back_the_same(request, tmp_path, place, face_name):
    rows, noise = [{"id": number, "name": f"item {number}"} for number in range(2_000)], os.urandom(20_000)

    async def scenario(state):
        deadline = state._parts.runtime.deadline(10)
        await state.set_many({"rows": rows, "noise": noise, "small": "x" * 60})
        assert await state.get_many(["rows", "noise", "small"]) == [rows, noise, "x" * 60]
        stored = await state._parts.pairs.get_many(["rows", "noise", "small"], deadline=deadline)
        sizes = [len(pair.value) for pair in stored]
        assert sizes[0] < len(json.dumps(rows)) / 4
        assert sizes[1:] == [len(noise) + 1, 62]  # not smaller by it, and too small to try
        assert await state.compare_and_set("rows", rows, rows[:1_000])
        assert await state.update("rows", lambda found: found[:2]) == rows[:2]

    with state_of(state_config(request, place, tmp_path), place, face_name) as opened:
        opened.run(scenario)
