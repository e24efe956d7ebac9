"""What concerns the store as a whole: counts, what is read most, addresses, export and import."""

from __future__ import annotations

import base64
import random
import urllib.request
import uuid
from contextlib import ExitStack

import orjson
import psycopg
import pytest

import tierstore
from tests.contract.schema_stores import backend_config, opened
from tierstore import Config, PostgresConfig, errors

CONTENT = b'{"type": "object"}'
LARGE = b'"' + b"x" * 2_000_000 + b'"'


@pytest.fixture
def fresh(request, store_backend, store_face, tmp_path):
    """A store with nothing in it."""
    with opened(store_backend, store_face, backend_config(request, store_backend, tmp_path / "fresh")) as store:
        store.prefix = "fresh"
        yield store


@pytest.mark.requirement("S1-10", "S1-68")
def test_statistics(fresh):
    async def scenario(store):
        empty = await store.statistics()
        assert (empty.total_schemas, empty.subjects, empty.content_bytes) == (0, 0, 0)
        made = await store.register("a", "1.0.0", CONTENT)
        await store.register("a", "2.0.0", b'"int"', schema_type="avro", state="draft")
        await store.register("a", "3.0.0", b'"long"', schema_type="avro", state="draft")
        gone = await store.register("b", "1.0.0", CONTENT)
        await store.register("c", "1.0.0", LARGE)
        await store.delete(gone.id)
        await fresh.until_l1(made.id)
        return await store.statistics()

    statistics = fresh.run(scenario)
    assert (statistics.total_schemas, statistics.active_schemas, statistics.subjects) == (4, 2, 2)
    assert statistics.by_state == {"active": 2, "draft": 2}
    assert statistics.by_type == {"json": 2, "avro": 2}
    assert statistics.content_bytes == len(CONTENT) + 5 + 6 + len(LARGE)
    assert 0 < statistics.hit_rates["l1"] <= statistics.hit_rates["total"] <= 1


@pytest.mark.requirement("S0-12", "S1-30")
def test_what_lies_in_the_object_store_leaves_the_database_small(postgres, s3_server, bucket, tmp_path):
    """The same large content with and without an object store: what the database's tables and indexes take."""

    def size_of(objects) -> int:
        pool = PostgresConfig(postgres.create_database(), min_connections=0)
        with tierstore.blocking.open(Config(postgres=pool, objects=objects)) as store:
            for number in range(4):
                content = b'"' + base64.b64encode(random.Random(number).randbytes(1_500_000)) + b'"'
                made = store.schemas.register("large", f"{number}.0.0", content)
                assert store.schemas.get(made.id, read="latest").content == content
        with psycopg.connect(pool.url) as connection:
            return connection.execute("SELECT pg_database_size(current_database())").fetchone()[0]

    with_objects, without = size_of(s3_server.config(bucket)), size_of(None)
    assert without - with_objects > 4 * 1_500_000


@pytest.mark.requirement("S1-35", "S1-36", "S1-37", "S1-77")
def test_what_is_read_most_is_popular_and_warmed(fresh):
    async def scenario(store):
        made = [await store.register("a", f"{number}.0.0", CONTENT) for number in range(3)]
        for schema, count in zip(made, (2, 5, 1), strict=True):
            for _ in range(count):
                await store.get(schema.id)
        assert await store.popular() == []
        await store._parts.usage.flush()
        first = await store.popular()
        await store.get(made[0].id)
        await store._parts.usage.flush()
        await store.delete(made[2].id)
        assert await store.warm(2) == 2
        return made, first, await store.popular(limit=1)

    made, first, top = fresh.run(scenario)
    assert [(each.id, each.access_count) for each in first] == [(made[1].id, 5), (made[0].id, 2), (made[2].id, 1)]
    assert [each.id for each in top] == [made[1].id]


@pytest.mark.requirement("S1-32")
def test_presigned_addresses(schemas):
    async def scenario(store):
        small = await store.register(schemas.subject("small"), "1.0.0", CONTENT)
        large = await store.register(schemas.subject("large"), "1.0.0", LARGE)
        for bad in (0, 604_801, "60"):
            with pytest.raises(errors.ValidationError):
                await store.presign(small.id, expires=bad)
        with pytest.raises(errors.NotFoundError):
            await store.presign(uuid.uuid4())
        if schemas.backend == "sqlite":
            with pytest.raises(errors.UnsupportedError, match=large.content_digest):
                await store.presign(large.id)
            return []
        return [await store.presign(small.id, expires=60), await store.presign(large.id)]

    urls = schemas.run(scenario)
    contents = [urllib.request.urlopen(url).read() for url in urls]
    assert contents == ([] if schemas.backend == "sqlite" else [CONTENT, LARGE])


def test_export_and_import(request, fresh, store_backend, store_face, tmp_path):
    path = tmp_path / "all.jsonl"

    async def fill(store):
        for number in range(230):
            await store.register(
                "many", f"{number}.0.0", b"[%d]" % number, tags=["x"], description="d", metadata={"n": number}
            )
        await store.register("large", "1.0.0-rc.1+b", LARGE, schema_type="json", state="draft")
        gone = await store.register("gone", "1.0.0", CONTENT)
        await store.delete(gone.id)
        assert await store.export(path) == 231
        assert await store.import_(path) == 231
        return await pages(store)

    async def pages(store):
        listed = [*(await store.list("many", limit=1000)).items, *(await store.list("large")).items]
        return {each.id: await store.get(each.id) for each in listed}

    async def read_in(store):
        assert await store.import_(path) == 231
        return await pages(store)

    before = fresh.run(fill)
    other = "postgres" if store_backend == "sqlite" else "sqlite"
    with ExitStack() as stack:
        second = stack.enter_context(opened(other, store_face, backend_config(request, other, tmp_path / "second")))
        after = second.run(read_in)
    same = ("subject", "version", "content", "schema_type", "state", "metadata", "content_digest", "placement")
    assert before.keys() == after.keys()
    for identifier, schema in before.items():
        assert [getattr(schema, name) for name in same] == [getattr(after[identifier], name) for name in same]
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".all")] == []


@pytest.mark.parametrize("resume", [False, True])
def test_an_export_that_fails_on_the_way(fresh, tmp_path, monkeypatch, resume):
    """It leaves nothing; with `resume` it leaves what the next one goes on from, and that gives the whole file."""
    whole, path = tmp_path / "whole.jsonl", tmp_path / "all.jsonl"

    async def scenario(store):
        await store.register_many(
            [{"subject": "many", "version": f"{number}.0.0", "content": b"[%d]" % number} for number in range(250)]
        )
        assert await store.export(whole) == 250
        blobs, seen = store._parts.blobs, []
        fill = blobs.filled

        async def fails(record, **options):
            seen.append(record.id)
            if len(seen) > 150:
                raise errors.ConnectionError("the database is gone")
            return await fill(record, **options)

        monkeypatch.setattr(blobs, "filled", fails)
        with pytest.raises(errors.ConnectionError):
            await store.export(path, resume=resume)
        left = [file.name for file in tmp_path.glob(".all*")]
        assert left == ([".all.jsonl.partial"] if resume else [])
        monkeypatch.undo()
        if resume:
            with (tmp_path / left[0]).open("ab") as file:
                file.write(b'{"id": "cut')  # as a crash leaves it
        assert await store.export(path, resume=resume) == 250
        assert path.read_bytes() == whole.read_bytes()

    fresh.run(scenario)


def test_files_that_are_no_export(fresh, tmp_path):
    async def scenario(store):
        await store.register("a", "1.0.0", CONTENT)
        await store.export(tmp_path / "good")
        lines = (tmp_path / "good").read_bytes().splitlines()
        fields = orjson.loads(lines[1])
        bad = {
            "empty": b"",
            "text": b"hello\n",
            "declared": _lines(lines[0], fields | {"size": 2**30}),
            "short": _lines(lines[0], fields | {"size": 5}),
            "base64": _lines(lines[0], fields | {"content": "!" * len(fields["content"])}),
            "missing": _lines(lines[0], {"subject": "b"}),
            "unknown": _lines(lines[0], fields | {"colour": "red"}),
            "cut": lines[0] + b"\n" + lines[1][:-9],
        }
        for name, content in bad.items():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(errors.ValidationError) as caught:
                await store.import_(tmp_path / name)
            assert caught.value.place, name
        changed = fields | {"content": base64.b64encode(b"x" * len(CONTENT)).decode()}
        (tmp_path / "damaged").write_bytes(_lines(lines[0], changed))
        with pytest.raises(errors.CorruptError):
            await store.import_(tmp_path / "damaged")
        with pytest.raises(errors.NotFoundError):
            await store.import_(tmp_path / "absent")
        with pytest.raises(errors.ValidationError):
            await store.export(tmp_path / "no" / "such" / "folder")
        assert (await store.statistics()).total_schemas == 1

    fresh.run(scenario)


def _lines(header, fields):
    return header + b"\n" + orjson.dumps(fields) + b"\n"


@pytest.mark.requirement("S1-67")
def test_health(schemas):
    health = schemas.face.run(schemas.store.health)
    expected = {"database", "objects", "channel"} | (
        {"l2", "standby channel"} if schemas.backend != "sqlite" else set()
    )
    assert health.ok
    assert set(health.tiers) == expected


def test_hits_without_a_coroutine(schemas):
    async def scenario(store):
        made = await store.register(schemas.subject(), "1.0.0", CONTENT)
        await store.get_version(made.subject, "1.0.0")
        await store.get_latest(made.subject)
        await schemas.until_l1(made.id)
        assert store.hit_get(made.id) == made
        assert store.hit_get_version(made.subject, "1.0.0") == made
        assert store.hit_get_latest(made.subject) == made
        assert store.hit_get(str(uuid.uuid4())) is None
        assert store.hit_get_latest(schemas.subject("absent")) is None
        large = await store.register(schemas.subject("large"), "1.0.0", LARGE)
        await store.get(large.id)
        assert store.hit_get(large.id) is None
        await store.delete(made.id)
        assert store.hit_get(made.id) is None
        assert store.hit_get_latest(made.subject) is None

    schemas.run(scenario)


def test_cancelled_and_late_calls_change_nothing(schemas):
    async def scenario(store):
        with pytest.raises(errors.TimeoutError):
            await store.register(schemas.subject(), "1.0.0", CONTENT, timeout=1e-9)
        with pytest.raises(errors.TimeoutError):
            await store.list(schemas.subject(), timeout=1e-9)
        assert await store.get_version(schemas.subject(), "1.0.0") is None

    schemas.run(scenario)
