"""Search: what is a hit, how hits are ordered and paged, and that both engines answer the same page."""

from __future__ import annotations

import math
import random
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.contract.schema_stores import FACES, backend_config, opened
from tests.contract.test_schemas_reads import all_pages
from tierstore import CacheConfig, _native, errors
from tierstore.plan import search as plan
from tierstore.plan.search import BLOCK_HITS, GRADES, graded
from tierstore.stores.schemas.search import candidates, text_index

CONTENT = b'{"type": "object", "properties": {"customer_name": {"type": "string"}}}'


async def found(store, *arguments, **options):
    return [hit.schema.subject.rsplit(".", 1)[-1] for hit in (await store.search(*arguments, **options)).items]


@pytest.mark.requirement("S1-06", "S1-12")
def test_words_are_found_in_subject_description_and_content(schemas):
    async def scenario(store):
        mark = schemas.prefix
        await store.register(schemas.subject("order"), "1.0.0", CONTENT)
        await store.register(schemas.subject("invoice"), "1.0.0", b"{}", description="bills an order")
        await store.register(schemas.subject("parcel"), "1.0.0", b'{"weight_grams": 5}')
        assert await found(store, f"{mark} order") == ["order", "invoice"]
        assert await found(store, f"{mark} ordr") == ["order", "invoice"]
        assert await found(store, f"ORDER {mark}") == ["order", "invoice"]
        assert await found(store, f"{mark} rde") == ["order", "invoice"]
        assert await found(store, f"{mark} customer") == ["order"]
        assert await found(store, f"{mark} weight_grams") == ["parcel"]
        assert await found(store, f"{mark} wieght") == []
        assert await found(store, f"{mark} 100%") == []
        assert await found(store, f"{mark} order bills") == ["invoice"]
        assert await found(store, f"{mark[:2]} parcel", subject=schemas.subject("parcel")) == ["parcel"]
        assert await found(store, f"{mark[0]}q", subject=schemas.subject("parcel")) == []

    schemas.run(scenario)


@pytest.mark.requirement("S1-43")
def test_filters(schemas):
    async def scenario(store):
        mark = schemas.prefix
        one = await store.register(
            schemas.subject("one"), "1.0.0", CONTENT, tags=[mark, "production"], metadata={"a": {"b": [1, 2]}}
        )
        await store.register(
            schemas.subject("two"), "1.0.0", CONTENT, tags=[mark], metadata={"a": {"b": [2, {"c": True}]}}
        )
        await store.register(
            schemas.subject("three"), "1.0.0", b'"int"', tags=[mark], schema_type="avro", state="draft"
        )
        assert await found(store, tags=[mark]) == ["one", "three", "two"]
        assert await found(store, tags=[mark, "production"]) == ["one"]
        assert await found(store, tags=["production"], subject=one.subject) == ["one"]
        assert await found(store, tags=[mark], schema_type="avro") == ["three"]
        assert await found(store, tags=[mark], states=["draft", "archived"]) == ["three"]
        assert await found(store, tags=[mark], metadata={"a": {"b": [2]}}) == ["one", "two"]
        assert await found(store, tags=[mark], metadata={"a": {"b": [{"c": True}]}}) == ["two"]
        assert await found(store, tags=[mark], metadata={"a": {"b": [{"c": 1}]}}) == []
        assert await found(store, tags=[mark], metadata={}) == ["one", "three", "two"]
        assert await found(store, mark, metadata={"a": {"b": [1]}}) == ["one"]
        for options in (
            {"tags": "x"},
            {"states": ["x"]},
            {"schema_type": "x"},
            {"metadata": 5},
            {"limit": 0},
            {"subject": ""},
        ):
            with pytest.raises(errors.ValidationError):
                await store.search(**options)
        with pytest.raises(errors.ValidationError):
            await store.search("x" * 2000)
        with pytest.raises(errors.ValidationError):
            await store.search(5)

    schemas.run(scenario)


def test_changes_are_searched_at_once(schemas):
    async def scenario(store):
        mark = schemas.prefix
        made = await store.register(schemas.subject("one"), "1.0.0", CONTENT, tags=[mark])
        assert await found(store, f"{mark} customer") == ["one"]
        await store.set_state(made.id, "disabled", reason="replaced by two")
        assert await found(store, f"{mark} customer", states=["disabled"]) == ["one"]
        await store.delete(made.id)
        assert await found(store, f"{mark} customer") == []
        await store.restore(made.id)
        assert await found(store, f"{mark} customer") == ["one"]
        await store.purge(made.id)
        assert await found(store, f"{mark} customer") == []

    schemas.run(scenario)


@pytest.mark.parametrize("limit", [1, 4, 7, 50])
def test_pages_join_without_gap_or_double(schemas, limit):
    async def scenario(store):
        names = [f"{kind}{number}" for kind in ("order", "reorder", "orders") for number in range(7)]
        items = [{"subject": schemas.subject(name), "version": "1.0.0", "content": CONTENT} for name in names]
        await store.register_many(items)

        async def call(**options):
            return await store.search(f"{schemas.prefix} order", **options)

        hits, _ = await all_pages(call, limit)
        ids = [hit.schema.id for hit in hits]
        assert len(set(ids)) == len(ids) == len(names)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert hits == list((await call(limit=100)).items)

    schemas.run(scenario)


def test_more_hits_than_a_block(schemas):
    async def scenario(store):
        count = BLOCK_HITS + 40
        items = [
            {"subject": schemas.subject(f"number{number:04}"), "version": "1.0.0", "content": CONTENT}
            for number in range(count)
        ]
        await store.register_many(items)
        best = await store.register(schemas.subject("aaa"), "1.0.0", CONTENT, description=f"{schemas.prefix} number")

        async def call(**options):
            return await store.search(f"{schemas.prefix} number", **options)

        hits, _ = await all_pages(call, 50)
        assert len({hit.schema.id for hit in hits}) == len(hits) == count + 1
        assert hits[-1].schema.id == best.id
        assert len((await call(limit=1000)).items) == count + 1

    schemas.run(scenario)


WORDS = ["order", "customer", "invoice", "payment", "address", "shipment", "parcel", "data", "type"]
WORDS += ["google.protobuf", "event-v2", "user_id", "Größe", "naïve"]


def corpus(count):
    """Documents of few words, so that typos and parts of words meet many of them. The same every time."""
    dice = random.Random(7)
    for number in range(count):
        subject = ".".join(dice.choices(WORDS, k=dice.randint(1, 3))) + f".{number % 17}"
        names = {dice.choice(WORDS): dice.choice(WORDS) for _ in range(dice.randint(0, 5))}
        yield {
            "subject": subject[:255],
            "version": f"{number}.0.0",
            "content": _json(names),
            "description": " ".join(dice.choices(WORDS, k=dice.randint(0, 4))),
            "tags": dice.sample(["a", "b", "c"], k=dice.randint(0, 3)),
            "metadata": {"n": number % 5},
        }


def _json(value):
    import orjson

    return orjson.dumps(value)


def queries():
    dice = random.Random(11)
    yield from ("ordr", "custmer", "invoce data", "or", "go", "goo", "google.protobuf", "user_id", "größe", "GRÖSSE")
    yield from ("naive", "ïve", "v2", "e", "zzz", "%", "___", "a.b", "r.i", "order r", "orderorder")
    for _ in range(60):
        word = dice.choice(WORDS)
        at = dice.randrange(len(word))
        yield dice.choice(
            [word[:at] + word[at + 1 :], word[at:], word[:at] + "x" + word[at:], word + " " + dice.choice(WORDS)]
        )


WAYS = {
    "by the index in memory": {},
    "by the index, read in page by page": {"PAGE_ROWS": 7},
    "by the database's index": {
        "search_bytes": 0,
        "FIRST_WALK": 8,
        "INDEX_COST": {"postgres": 0.0, "sqlite": 0.0},
        "LEAST_WALKED": {"postgres": 0, "sqlite": 0},
    },
    "by reading": {
        "search_bytes": 0,
        "FIRST_WALK": 8,
        "INDEX_COST": {"postgres": math.inf, "sqlite": math.inf},
        "MANY_PROPOSED": 1,
    },
}


@pytest.mark.requirement("S1-06", "S1-12")
@pytest.mark.parametrize("way", WAYS)
def test_both_engines_answer_the_same_pages(request, tmp_path, monkeypatch, way):
    """And both answer what the score alone says of every document: the candidates leave no hit out, however they are looked for."""
    names = dict(WAYS[way])
    cache = CacheConfig(warm_on_start=False, search_bytes=names.pop("search_bytes", 1 << 28))
    for name, value in names.items():
        for module in (plan, candidates, text_index):
            monkeypatch.setattr(module, name, value, raising=False)
    documents = list(corpus(400))
    with ExitStack() as stack:
        stores = [
            stack.enter_context(opened(backend, face, replace(config, cache=cache)))
            for backend, face in (("sqlite", FACES[0]), ("postgres", FACES[1]))
            for config in [backend_config(request, backend, tmp_path / backend)]
        ]

        async def fill(store):
            return await store.register_many(documents)

        everything, _ = [each.run(fill) for each in stores]
        rows = _scored_fields(everything)

        async def pages(store, text, options):
            async def call(**page):
                return await store.search(text, **options, **page)

            hits, _ = await all_pages(call, 97)
            return [(hit.schema.subject, hit.schema.version, hit.score) for hit in hits]

        for text in queries():
            expected = _expected(text, rows)
            for options in ({}, {"tags": ["a", "b"]}, {"metadata": {"n": 3}, "states": ["active"]}):
                lite, server = (each.run(pages, text, options) for each in stores)
                assert lite == server, (text, options)
                if not options:
                    assert set(lite) == expected, text
        in_memory = way.startswith("by the index")
        assert all((each.store.schemas._parts.texts.bytes > 0) is in_memory for each in stores)


def _scored_fields(schemas):
    return [
        (each.subject, each.description, _native.search_text(each.schema_type, each.content, 4096), each.version)
        for each in schemas
    ]


def _expected(text, rows):
    ranks = _native.rank_many(text, [row[:3] for row in rows])
    return {
        (row[0], row[3], graded(GRADES[rank[0]], rank[1]))
        for row, rank in zip(rows, ranks, strict=True)
        if rank is not None
    }
