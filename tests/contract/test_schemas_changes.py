"""States, deletion, restoring and purging, and what each means for reads."""

from __future__ import annotations

import uuid

import pytest

from tierstore import errors

CONTENT = b'{"type": "object"}'
OTHER = b'{"type": "array"}'


# Written out here, so that the product's own table is what is tried.
STATES = ("draft", "active", "deprecated", "disabled", "archived")
LEGAL = {
    ("draft", "active"),
    ("active", "deprecated"),
    ("deprecated", "active"),
    ("active", "disabled"),
    ("deprecated", "disabled"),
    ("disabled", "active"),
    *((state, "archived") for state in STATES if state != "archived"),
}


@pytest.mark.requirement("S1-07")
@pytest.mark.parametrize("current", STATES)
def test_every_move_is_legal_or_a_conflict(schemas, current):
    async def scenario(store):
        for number, wanted in enumerate(STATES):
            made = await store.register(schemas.subject(), f"1.{number}.0", CONTENT, state=current)
            if (current, wanted) in LEGAL:
                moved = await store.set_state(made.id, wanted)
                assert moved.state == wanted
                assert moved.row_version > made.row_version
                assert moved.updated_at >= made.updated_at
                assert moved.content == CONTENT
                assert await store.get(made.id) == moved
            else:
                with pytest.raises(errors.ConflictError):
                    await store.set_state(made.id, wanted)
                assert await store.get(made.id) == made

    schemas.run(scenario)


def test_states_of_what_is_not_there(schemas):
    async def scenario(store):
        with pytest.raises(errors.NotFoundError):
            await store.set_state(uuid.uuid4(), "active")
        with pytest.raises(errors.InvalidKeyError):
            await store.set_state("x", "active")
        made = await store.register(schemas.subject(), "1.0.0", CONTENT)
        with pytest.raises(errors.ValidationError):
            await store.set_state(made.id, "gone")
        await store.delete(made.id)
        with pytest.raises(errors.NotFoundError):
            await store.set_state(made.id, "deprecated")

    schemas.run(scenario)


def test_a_reason_is_kept(schemas):
    async def scenario(store):
        made = await store.register(schemas.subject(), "1.0.0", CONTENT, tags=["x"])
        return await store.set_state(made.id, "deprecated", reason="use 2.0.0"), await store.get(made.id)

    moved, found = schemas.run(scenario)
    assert moved == found
    assert found.metadata == {"tags": ["x"], "state_reason": "use 2.0.0"}


def test_expected_version(schemas):
    async def scenario(store):
        made = await store.register(schemas.subject(), "1.0.0", CONTENT)
        moved = await store.set_state(made.id, "deprecated", expected_version=made.row_version)
        with pytest.raises(errors.ConflictError, match="row_version"):
            await store.set_state(made.id, "active", expected_version=made.row_version)
        with pytest.raises(errors.ConflictError, match="row_version"):
            await store.delete(made.id, expected_version=made.row_version)
        with pytest.raises(errors.ValidationError):
            await store.delete(made.id, expected_version="1")
        assert await store.delete(made.id, expected_version=moved.row_version)

    schemas.run(scenario)


@pytest.mark.requirement("S1-08")
def test_a_deleted_schema_is_found_by_no_read(schemas):
    async def scenario(store):
        subject = schemas.subject()
        made = await store.register(subject, "1.0.0", CONTENT, tags=[subject])
        assert await store.get_latest(subject) == made
        assert await store.delete(made.id)
        assert not await store.delete(made.id)
        assert await store.get(made.id) is None
        assert await store.get_many([made.id]) == [None]
        assert await store.get_version(subject, "1.0.0") is None
        assert await store.get_latest(subject) is None
        assert await store.get_latest_many([subject]) == [None]
        assert (await store.list(subject)).items == ()
        assert (await store.subjects(subject)).items == ()
        assert (await store.search(tags=[subject])).items == ()
        assert (await store.search(subject)).items == ()
        shown = (await store.list(subject, deleted=True)).items
        assert [each.id for each in shown] == [made.id]
        assert shown[0].deleted_at is not None
        assert not await store.delete(uuid.uuid4())

    schemas.run(scenario)


@pytest.mark.requirement("S1-76")
def test_deleted_versions_come_back_with_the_same_content_only(schemas):
    async def scenario(store):
        subject = schemas.subject()
        made = await store.register(subject, "1.0.0", CONTENT, tags=[subject])
        await store.delete(made.id)
        with pytest.raises(errors.ConflictError):
            await store.register(subject, "1.0.0", OTHER)
        assert await store.get_version(subject, "1.0.0") is None
        revived = await store.register(subject, "1.0.0", CONTENT)
        assert (revived.id, revived.tags, revived.content) == (made.id, (subject,), CONTENT)
        assert revived.row_version > made.row_version
        assert await store.get(made.id) == revived == await store.get_latest(subject)
        assert len((await store.search(tags=[subject])).items) == 1

    schemas.run(scenario)


def test_restore(schemas):
    async def scenario(store):
        made = await store.register(schemas.subject(), "1.0.0", CONTENT)
        assert await store.restore(made.id) == made
        await store.delete(made.id)
        restored = await store.restore(made.id)
        assert restored.content == CONTENT
        assert await store.get(made.id) == restored
        with pytest.raises(errors.NotFoundError):
            await store.restore(uuid.uuid4())

    schemas.run(scenario)


@pytest.mark.requirement("S1-76")
@pytest.mark.parametrize("size", [20, 100_000])
def test_purge_removes_the_content_and_frees_the_version(schemas, size):
    content = b'"' + b"x" * size + b'"'

    async def scenario(store):
        subject = schemas.subject()
        made = await store.register(subject, "1.0.0", content, tags=[subject])
        assert await store.get_version(subject, "1.0.0") == made
        assert await store.purge(made.id)
        assert not await store.purge(made.id)
        assert not await store.purge(uuid.uuid4())
        assert await store.get(made.id) is None
        assert await store.get_version(subject, "1.0.0") is None
        assert (await store.list(subject, deleted=True)).items == ()
        with pytest.raises(errors.NotFoundError):
            await store.restore(made.id)
        second = await store.register(subject, "1.0.0", OTHER)
        assert second.id != made.id
        assert await store.get_version(subject, "1.0.0") == second
        with pytest.raises(errors.ConflictError):
            await store.register(subject, "2.0.0", OTHER, id=made.id)

    schemas.run(scenario)


def test_disabling_the_last_version_leaves_the_subject(schemas):
    """As Apicurio #5114 did not."""

    async def scenario(store):
        subject = schemas.subject()
        made = await store.register(subject, "1.0.0", CONTENT)
        await store.set_state(made.id, "disabled")
        assert (await store.subjects(subject)).items == (subject,)
        assert await store.get_latest(subject) is None
        assert (await store.get_version(subject, "1.0.0")).state == "disabled"
        assert (await store.get(made.id)).state == "disabled"
        assert (await store.get_latest(subject, states=["disabled"])).id == made.id
        assert (await store.get_latest(subject, states=None)).id == made.id

    schemas.run(scenario)


@pytest.mark.requirement("S0-18")
def test_every_write_invalidates_what_was_cached(schemas):
    """Of the schema itself, of its version and of its subject: cached before the write, they are the database's answers after it."""

    async def scenario(store):
        subject = schemas.subject()
        made = await store.register(subject, "1.0.0", CONTENT)

        async def answers(read):
            return [
                await store.get(made.id, read=read),
                await store.get_version(subject, "1.0.0", read=read),
                await store.get_latest(subject, read=read),
            ]

        async def in_transaction():
            async with schemas.store.transaction() as tx:
                await tx.schemas.set_state(made.id, "active")

        writes = {
            "set_state": lambda: store.set_state(made.id, "deprecated"),
            "transaction": in_transaction,
            "register": lambda: store.register(subject, "1.1.0", OTHER),
            "register_many": lambda: store.register_many([{"subject": subject, "version": "1.2.0", "content": OTHER}]),
            "delete": lambda: store.delete(made.id),
            "restore": lambda: store.restore(made.id),
            "purge": lambda: store.purge(made.id),
        }
        before = await answers("session")
        for name, write in writes.items():
            assert await answers("session") == before, name
            await write()
            after = await answers("session")
            assert after == await answers("latest"), name
            assert after != before, name
            before = after

    schemas.run(scenario)


def test_metadata_that_a_reason_made_longer_can_still_be_read(schemas):
    subject = schemas.subject()

    async def scenario(store):
        made = await store.register(subject, "1.0.0", b"{}", metadata={"a": "x" * 65_000})
        await store.set_state(made.id, "deprecated", reason="y" * 4_000)
        return await store.get(made.id, read="latest")

    found = schemas.run(scenario)
    assert (len(found.metadata["a"]), len(found.metadata["state_reason"])) == (65_000, 4_000)
