"""Registering: what is stored, what the same again means, what is refused, and batches."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tests.contract.schema_stores import Opened
from tierstore import errors

CONTENT = b'{"type": "object", "title": "order"}'
OTHER = b'{"type": "array"}'


def refuses(schemas: Opened, error: type[errors.StorageError], *arguments, **options) -> errors.StorageError:
    async def scenario(store):
        with pytest.raises(error) as caught:
            await store.register(*arguments, **options)
        return caught.value

    return schemas.run(scenario)


@pytest.mark.requirement("S1-03", "S1-17")
def test_a_schema_is_stored_as_given(schemas):
    subject = schemas.subject()

    async def scenario(store):
        made = await store.register(
            subject,
            "1.2.3-rc.1+build.5",
            CONTENT,
            metadata={"team": "a", "n": [1, 2.5, None]},
            description="d",
            tags=["x", "y"],
        )
        return made, await store.get(made.id), await store.get_version(subject, "1.2.3-rc.1")

    made, found, by_version = schemas.run(scenario)
    assert made == found == by_version
    assert uuid.UUID(made.id).version == 7
    assert (made.subject, made.version, made.schema_type, made.state) == (
        subject,
        "1.2.3-rc.1+build.5",
        "json",
        "active",
    )
    assert made.content == CONTENT
    assert made.metadata == {"team": "a", "n": [1, 2.5, None], "tags": ["x", "y"], "description": "d"}
    assert (made.tags, made.description) == (("x", "y"), "d")
    assert made.content_size == len(CONTENT)
    assert len(made.content_digest) == 64
    assert made.row_version > 0
    assert made.created_at == made.updated_at
    assert abs(datetime.now(UTC) - made.created_at) < timedelta(minutes=5)
    assert made.created_at.utcoffset() == timedelta(0)


def test_tags_and_description_of_both_ways_are_merged(schemas):
    async def scenario(store):
        metadata = {"tags": ["a", "b"], "description": "kept"}
        first = await store.register(schemas.subject("first"), "1.0.0", CONTENT, metadata=metadata, tags=["b", "c"])
        second = await store.register(
            schemas.subject("second"), "1.0.0", CONTENT, metadata=metadata, description="said"
        )
        return first, second

    first, second = schemas.run(scenario)
    assert (first.tags, first.description) == (("a", "b", "c"), "kept")
    assert second.description == "said"


def test_the_same_content_again_is_the_same_record(schemas):
    async def scenario(store):
        first = await store.register(schemas.subject(), "1.0.0+one", CONTENT)
        return first, await store.register(schemas.subject(), "1.0.0+two", CONTENT)

    first, again = schemas.run(scenario)
    assert again == first


def test_other_content_for_a_version_is_a_conflict(schemas):
    async def scenario(store):
        first = await store.register(schemas.subject(), "1.0.0", CONTENT)
        with pytest.raises(errors.ConflictError) as caught:
            await store.register(schemas.subject(), "1.0.0", OTHER)
        with pytest.raises(errors.ConflictError):
            await store.register(schemas.subject(), "1.0.0", CONTENT, schema_type="jsonschema")
        return first, caught.value, await store.get_version(schemas.subject(), "1.0.0")

    first, error, now = schemas.run(scenario)
    assert now == first
    assert (error.store, error.operation, error.key) == ("schemas", "register", schemas.subject())


def test_a_given_id_is_kept_in_any_spelling_and_not_taken_twice(schemas):
    identifier = uuid.uuid4()

    async def scenario(store):
        made = await store.register(schemas.subject(), "1.0.0", CONTENT, id=str(identifier).upper())
        with pytest.raises(errors.ConflictError, match="belongs to another schema"):
            await store.register(schemas.subject(), "2.0.0", OTHER, id=identifier)
        return made, await store.get(identifier), await store.get(identifier.hex)

    made, by_uuid, by_hex = schemas.run(scenario)
    assert made.id == str(identifier)
    assert by_uuid == by_hex == made


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\x00b", "a\nb", "a\x7fb", "\ud800", 5, None])
def test_bad_subjects(schemas, subject):
    refuses(schemas, errors.InvalidKeyError, subject, "1.0.0", CONTENT)


@pytest.mark.parametrize(
    "version", ["", "1", "1.0", "01.0.0", "1.0.0-01", "v1.0.0", f"{2**31}.0.0", "1.0.0-", None, 1.0]
)
def test_bad_versions(schemas, version):
    refuses(schemas, errors.ValidationError, schemas.subject(), version, CONTENT)


@pytest.mark.parametrize(
    ("content", "schema_type", "place"),
    [
        (b'{"a": NaN}', "json", "line 1, column 7"),
        (b'{"a": "\xff\xfe"}', "json", "line 1"),
        (b"[" * 100_000, "json", "line 1, column 513"),
        (b'{"type": 5}', "jsonschema", "/type"),
        (b'{"type": "record"}', "avro", "/"),
        (b"import 5;", "protobuf", "line 1"),
        ("{}", "json", "content"),
        (None, "json", "content"),
        (b"{}", "xml", "schema_type"),
    ],
)
def test_bad_content_names_its_place(schemas, content, schema_type, place):
    error = refuses(schemas, errors.ValidationError, schemas.subject(), "1.0.0", content, schema_type=schema_type)
    assert error.place.startswith(place)
    assert schemas.run(lambda store: store.get_version(schemas.subject(), "1.0.0")) is None


def test_a_gibibyte_is_refused_before_it_is_read(schemas):
    error = refuses(schemas, errors.ValidationError, schemas.subject(), "1.0.0", bytes(2**30))
    assert error.place == "content"


@pytest.mark.parametrize(
    "options",
    [
        {"metadata": {"tags": "x"}},
        {"metadata": {"tags": ["x", 5]}},
        {"metadata": {"description": 5}},
        {"metadata": {"n": float("nan")}},
        {"metadata": {5: "x"}},
        {"metadata": {"x": print}},
        {"metadata": {"x": "\x00"}},
        {"metadata": {"x": 2**64}},
        {"metadata": ["x"]},
        {"metadata": {"x": "y" * 70_000}},
        {"tags": "x"},
        {"tags": [5]},
        {"tags": ["x", ""]},
        {"metadata": {"tags": [""]}},
        {"description": 5},
        {"state": "gone"},
        {"id": "not-a-uuid"},
        {"timeout": -1},
        {"timeout": "soon"},
    ],
    ids=str,
)
def test_bad_options(schemas, options):
    error = refuses(schemas, errors.ValidationError, schemas.subject(), "1.0.0", CONTENT, **options)
    assert error.place
    assert schemas.run(lambda store: store.get_version(schemas.subject(), "1.0.0")) is None


@pytest.mark.requirement("S1-02")
def test_many_in_one_commit(schemas):
    async def scenario(store):
        items = [
            {"subject": schemas.subject(f"s{number % 3}"), "version": f"1.{number}.0", "content": b"[%d]" % number}
            for number in range(20)
        ]
        made = await store.register_many(items)
        again = await store.register_many(list(reversed(items)))
        return items, made, again, await store.get_many([each.id for each in made])

    items, made, again, found = schemas.run(scenario)
    assert [(each.subject, each.version, each.content) for each in made] == [tuple(item.values()) for item in items]
    assert list(reversed(again)) == made == found
    assert schemas.run(lambda store: store.register_many([])) == []


def test_many_are_all_or_nothing_and_the_failing_one_is_named(schemas):
    def item(version, content=CONTENT):
        return {"subject": schemas.subject(), "version": version, "content": content}

    async def scenario(store):
        await store.register(**item("1.0.0"))
        with pytest.raises(errors.ConflictError, match=r"items\[2\]"):
            await store.register_many([item("2.0.0"), item("1.0.0"), item("1.0.0", OTHER)])
        with pytest.raises(errors.ValidationError, match=r"items\[1\]") as caught:
            await store.register_many([item("2.0.0"), item("x")])
        for bad in ([5], [{"subject": "s"}], [item("1.0.0") | {"colour": "red"}], {"subject": "s"}, "x"):
            with pytest.raises(errors.ValidationError):
                await store.register_many(bad)
        return caught.value, await store.list(schemas.subject())

    error, page = schemas.run(scenario)
    assert error.place.startswith("items[1]")
    assert [each.version for each in page.items] == ["1.0.0"]


def test_a_batch_that_names_a_version_or_an_id_twice(schemas):
    identifier = str(uuid.uuid4())

    async def scenario(store):
        item = {"subject": schemas.subject(), "version": "1.0.0", "content": CONTENT}
        same = await store.register_many([item, item])
        with pytest.raises(errors.ConflictError, match=r"items\[1\].*belongs to another schema"):
            await store.register_many(
                [item | {"version": "2.0.0", "id": identifier}, item | {"version": "3.0.0", "id": identifier}]
            )
        return same, await store.get(identifier)

    same, absent = schemas.run(scenario)
    assert same[0] == same[1]
    assert absent is None


def test_an_idempotency_key_applies_a_write_once(schemas):
    key = schemas.subject("key")

    async def scenario(store):
        first = await store.register(schemas.subject(), "1.0.0", CONTENT, idempotency_key=key)
        await store.set_state(first.id, "deprecated")
        again = await store.register(schemas.subject(), "1.0.0", CONTENT, idempotency_key=key)
        with pytest.raises(errors.ConflictError, match="idempotency key"):
            await store.register(schemas.subject(), "2.0.0", CONTENT, idempotency_key=key)
        with pytest.raises(errors.ValidationError):
            await store.register(schemas.subject(), "2.0.0", CONTENT, idempotency_key="")
        return first, again

    first, again = schemas.run(scenario)
    assert again.id == first.id
    assert again.state == "deprecated"


@pytest.mark.requirement("S1-30", "S1-31")
@pytest.mark.parametrize("size", [65_536, 65_537, 1_048_575, 1_048_576, 3_000_000])
def test_large_content_lies_elsewhere_and_reads_back(schemas, size):
    content = b'"' + bytes(97 + number % 26 for number in range(size - 2)) + b'"'
    tier = "inline" if size <= 65_536 else "row" if size < 1_048_576 else "object"

    async def scenario(store):
        made = await store.register(schemas.subject(), "1.0.0", content)
        page = await store.list(schemas.subject())
        moved = await store.set_state(made.id, "deprecated")
        found = [
            await store.get(made.id),
            await store.get(made.id),
            await store.get_version(schemas.subject(), "1.0.0"),
            await store.get_latest(schemas.subject()),
            (await store.get_many([made.id]))[0],
            (await store.get_latest_many([schemas.subject()]))[0],
        ]
        return made, moved, page, found

    made, moved, page, found = schemas.run(scenario)
    assert (made.placement, made.content_size) == (tier, size)
    assert made.content == moved.content == content
    assert all(each == moved for each in found)
    assert not hasattr(page.items[0], "content")
