"""Reads by key, lists and pages, on every tier."""

from __future__ import annotations

import uuid

import pytest

from tierstore import errors

CONTENT = b'{"type": "object"}'
ORDERED = [
    "10.0.0",
    "2.1.0",
    "2.0.10",
    "2.0.9",
    "2.0.0",
    "2.0.0-rc.11",
    "2.0.0-rc.2",
    "2.0.0-rc",
    "2.0.0-beta",
    "2.0.0-1",
    "1.0.0",
]


async def fill(store, subject, versions=ORDERED, **options):
    items = [{"subject": subject, "version": version, "content": CONTENT} | options for version in versions]
    return {each.version: each for each in await store.register_many(items)}


@pytest.mark.requirement("S1-01", "S1-04")
def test_get_in_every_spelling(schemas):
    async def scenario(store):
        made = await store.register(schemas.subject(), "1.0.0", CONTENT)
        assert await store.get(made.id) == made
        assert await store.get(uuid.UUID(made.id)) == made
        assert await store.get(made.id.upper()) == made
        assert await store.get(made.id.replace("-", "")) == made
        assert await schemas.until_l1(made.id) == made
        assert (await store.get(made.id, read="latest")).meta.tier == "database"
        assert await store.get(uuid.uuid4()) is None
        for bad in ("", "x", "0" * 31, 5, None):
            with pytest.raises(errors.InvalidKeyError):
                await store.get(bad)
        with pytest.raises(errors.ValidationError):
            await store.get(made.id, read="sometimes")

    schemas.run(scenario)


def test_many_answer_in_argument_order(schemas):
    async def scenario(store):
        made = list((await fill(store, schemas.subject())).values())
        absent = str(uuid.uuid4())
        asked = [made[3].id, absent, made[0].id, made[3].id, made[1].id.upper()]
        assert await store.get_many(asked) == [made[3], None, made[0], made[3], made[1]]
        assert await store.get_many([]) == []
        subjects = [schemas.subject(), schemas.subject("absent"), schemas.subject()]
        latest = await store.get_latest_many(subjects)
        assert [each and each.version for each in latest] == ["10.0.0", None, "10.0.0"]

    schemas.run(scenario)


@pytest.mark.requirement("S1-42")
def test_latest(schemas):
    async def scenario(store):
        subject = schemas.subject()
        made = await fill(store, subject, ["1.0.0-alpha", "1.0.0-rc.1"])
        assert (await store.get_latest(subject)).version == "1.0.0-rc.1"
        await store.register(subject, "0.9.0", CONTENT)
        assert (await store.get_latest(subject)).version == "0.9.0"
        assert (await store.get_latest(subject, prerelease=True)).version == "1.0.0-rc.1"
        await store.set_state(made["1.0.0-rc.1"].id, "archived")
        assert (await store.get_latest(subject, prerelease=True)).version == "1.0.0-alpha"
        assert (await store.get_latest(subject, prerelease=True, states=["archived"])).version == "1.0.0-rc.1"
        assert await store.get_latest(subject, states=["draft"]) is None
        assert await store.get_latest(schemas.subject("absent")) is None
        for bad in ("active", ["gone"]):
            with pytest.raises(errors.ValidationError):
                await store.get_latest(subject, states=bad)

    schemas.run(scenario)


def test_the_latest_goes_back_when_it_is_deleted(schemas):
    """The one before it has a lower row_version, which no cache may mind."""

    async def scenario(store):
        subject = schemas.subject()
        made = await fill(store, subject, ["1.0.0", "2.0.0"])
        for _ in range(2):
            assert (await store.get_latest(subject)).version == "2.0.0"
            await store.delete(made["2.0.0"].id)
            assert (await store.get_latest(subject)).version == "1.0.0"
            await store.restore(made["2.0.0"].id)

    schemas.run(scenario)


def test_absence_is_forgotten_when_something_comes(schemas):
    identifier = str(uuid.uuid4())

    async def scenario(store):
        subject = schemas.subject()
        assert await store.get(identifier) is None
        assert await store.get_version(subject, "1.0.0") is None
        assert await store.get_latest(subject) is None
        made = await store.register(subject, "1.0.0", CONTENT, id=identifier)
        assert await store.get(identifier) == made
        assert await store.get_version(subject, "1.0.0") == made
        assert await store.get_latest(subject) == made

    schemas.run(scenario)


def test_what_a_caller_changes_stays_with_the_caller(schemas):
    async def scenario(store):
        made = await store.register(schemas.subject(), "1.0.0", CONTENT, metadata={"list": [1]})
        (await store.get(made.id)).metadata["list"].append(2)
        with pytest.raises(AttributeError):
            made.state = "draft"
        assert (await store.get(made.id)).metadata == {"list": [1]}

    schemas.run(scenario)


@pytest.mark.requirement("S1-05")
def test_lists_are_highest_first_and_filtered(schemas):
    async def scenario(store):
        subject = schemas.subject()
        made = await fill(store, subject)
        await store.set_state(made["2.0.9"].id, "deprecated")
        await store.register(subject, "3.0.0", b'"string"', schema_type="avro")
        await store.register(schemas.subject("other"), "1.0.0", CONTENT)
        versions = [each.version for each in (await store.list(subject)).items]
        assert versions == ["10.0.0", "3.0.0", *ORDERED[1:]]
        assert [each.version for each in (await store.list(subject, states=["deprecated"])).items] == ["2.0.9"]
        assert [each.version for each in (await store.list(subject, schema_type="avro")).items] == ["3.0.0"]
        assert (await store.list(schemas.subject("absent"))).items == ()

    schemas.run(scenario)


async def all_pages(call, limit):
    items, after, pages = [], None, 0
    while True:
        page = await call(limit=limit, after=after)
        items += page.items
        pages += 1
        assert len(page.items) <= limit
        if page.next is None:
            return items, pages
        after = page.next


@pytest.mark.parametrize("limit", [1, 3, 11, 100])
def test_pages_join_to_the_whole(schemas, limit):
    async def scenario(store):
        subject = schemas.subject()
        await fill(store, subject)

        async def call(**options):
            return await store.list(subject, **options)

        items, pages = await all_pages(call, limit)
        assert [each.version for each in items] == ORDERED
        assert pages == -(-len(ORDERED) // limit)

    schemas.run(scenario)


def test_a_cursor_belongs_to_its_query(schemas):
    async def scenario(store):
        subject = schemas.subject()
        await fill(store, subject)
        cursor = (await store.list(subject, limit=2)).next
        with pytest.raises(errors.ValidationError, match="another query"):
            await store.list(subject, states=["active"], after=cursor)
        with pytest.raises(errors.ValidationError, match="another query"):
            await store.search(subject, after=cursor)
        for bad in ("", "x", "!!!", cursor[:-3], 5):
            with pytest.raises(errors.ValidationError):
                await store.list(subject, after=bad)
        for limit in (0, 1001, "5", True):
            with pytest.raises(errors.ValidationError):
                await store.list(subject, limit=limit)

    schemas.run(scenario)


def test_subjects_by_prefix(schemas):
    async def scenario(store):
        names = [schemas.subject(name) for name in ("a", "a.b", "aZ", "az", "b", "é", "\U0001f600")]
        await store.register_many([{"subject": name, "version": "1.0.0", "content": CONTENT} for name in names])
        everything = await store.subjects(schemas.prefix)
        assert list(everything.items) == sorted(names)
        assert list((await store.subjects(schemas.subject("a"))).items) == sorted(names)[:4]

        async def call(**options):
            return await store.subjects(schemas.prefix, **options)

        assert (await all_pages(call, 3))[0] == sorted(names)
        with pytest.raises(errors.InvalidKeyError):
            await store.subjects("\x00")

    schemas.run(scenario)


@pytest.mark.requirement("S1-09")
def test_a_transaction_is_one_commit(schemas):
    async def scenario(store):
        subject = schemas.subject()
        before = await store.register(subject, "1.0.0", CONTENT)
        async with store.transaction() as tx:
            made = await tx.register(subject, "2.0.0", CONTENT)
            await tx.set_state(before.id, "deprecated")
            assert (await tx.get(made.id)) == made
            assert (await tx.get_version(subject, "2.0.0")) == made
            assert (await tx.get_latest(subject)) == made
            assert await tx.get_latest_many([subject]) == [made]
            assert len((await tx.list(subject)).items) == 2
            assert len((await tx.search(subject)).items) == 2
            assert (await tx.subjects(subject)).items == (subject,)
        assert await store.get(made.id) == made
        assert (await store.get(before.id)).state == "deprecated"
        assert (await store.get_latest(subject)).version == "2.0.0"

    schemas.run(scenario)


@pytest.mark.requirement("S1-09", "S1-75")
def test_what_is_rolled_back_was_never_seen(schemas):
    async def scenario(store):
        subject = schemas.subject()
        before = await store.register(subject, "1.0.0", CONTENT)
        with pytest.raises(KeyError):
            async with store.transaction() as tx:
                made = await tx.register(subject, "2.0.0", CONTENT)
                await tx.delete(before.id)
                assert await tx.get(before.id) is None
                raise KeyError
        async with store.transaction() as tx:
            await tx.purge(before.id)
            await tx.rollback()
        assert await store.get(made.id) is None
        assert await store.get(before.id) == before
        assert await store.get_latest(subject) == before

    schemas.run(scenario)


def test_savepoints_undo_their_own_block(schemas):
    async def scenario(store):
        subject = schemas.subject()
        async with store.transaction() as tx:
            first = await tx.register(subject, "1.0.0", CONTENT)
            with pytest.raises(KeyError):
                async with tx.savepoint():
                    second = await tx.register(subject, "2.0.0", CONTENT)
                    raise KeyError
            with pytest.raises(errors.ConflictError):
                items = [{"subject": subject, "version": version, "content": b"1"} for version in ("3.0.0", "1.0.0")]
                await tx.register_many(items)
        assert await store.get(first.id) == first
        assert await store.get(second.id) is None
        assert [each.version for each in (await store.list(subject)).items] == ["1.0.0"]

    schemas.run(scenario)


def test_a_write_beside_ones_own_transaction_is_refused(schemas):
    async def scenario(store):
        async with store.transaction() as tx:
            await tx.register(schemas.subject(), "1.0.0", CONTENT)
            with pytest.raises(errors.ConflictError, match="open transaction"):
                await store.register(schemas.subject(), "2.0.0", CONTENT)
            await tx.commit()
            with pytest.raises(errors.ClosedError):
                await tx.register(schemas.subject(), "3.0.0", CONTENT)

    schemas.run(scenario)
