"""A write that changes nothing has answered all the same: later reads here do not contradict it, however late the others' news are (I2)."""

from __future__ import annotations

import pytest

from tierstore import ConflictError

ONE = {"subject": "s", "version": "1.0.0", "content": b'{"a": 1}'}


async def register(schemas):
    return await schemas.register(**ONE)


async def get_both(schemas, identifier):
    return await schemas.get(identifier), await schemas.get_version("s", "1.0.0")


async def cache_presence(schemas, identifier):
    """L1 is trusted from the first poll of the outbox on."""
    for _ in range(200):
        assert None not in await get_both(schemas, identifier)


async def cache_absence(schemas, identifier):
    for _ in range(200):
        assert await get_both(schemas, identifier) == (None, None)


def test_a_registration_that_finds_its_like(two):
    deaf, other = two
    schema = other.run(register)
    other.run(lambda schemas: schemas.delete(schema.id))
    deaf.run(cache_absence, schema.id)
    other.run(lambda schemas: schemas.restore(schema.id))
    assert deaf.run(register).id == schema.id
    assert None not in deaf.run(get_both, schema.id)


def test_a_restoration_of_what_is_there(two):
    deaf, other = two
    schema = other.run(register)
    other.run(lambda schemas: schemas.delete(schema.id))
    deaf.run(cache_absence, schema.id)
    other.run(lambda schemas: schemas.restore(schema.id))
    assert deaf.run(lambda schemas: schemas.restore(schema.id)).id == schema.id
    assert None not in deaf.run(get_both, schema.id)


def test_a_deletion_of_what_is_gone(two):
    deaf, other = two
    schema = other.run(register)
    deaf.run(cache_presence, schema.id)
    other.run(lambda schemas: schemas.delete(schema.id))
    assert deaf.run(lambda schemas: schemas.delete(schema.id)) is False
    assert deaf.run(get_both, schema.id) == (None, None)


def test_a_refusal_that_tells_the_state(two):
    deaf, other = two
    schema = other.run(register)
    deaf.run(cache_presence, schema.id)
    other.run(lambda schemas: schemas.set_state(schema.id, "deprecated"))
    with pytest.raises(ConflictError, match="deprecated"):
        deaf.run(lambda schemas: schemas.set_state(schema.id, "deprecated"))
    assert {one.state for one in deaf.run(get_both, schema.id)} == {"deprecated"}


def test_a_read_in_a_transaction(two):
    deaf, other = two
    schema = other.run(register)
    deaf.run(cache_presence, schema.id)
    other.run(lambda schemas: schemas.delete(schema.id))

    async def look(_schemas):
        async with deaf.store.transaction() as tx:
            assert await tx.schemas.get(schema.id) is None

    deaf.run(look)
    assert deaf.run(lambda schemas: schemas.get(schema.id)) is None
