"""A cursor is the caller's text: whatever stands in it, it is a ValidationError or a page, at every call and in every field."""

from __future__ import annotations

import base64
import json

import pytest

from tierstore import errors

CONTENT = b"{}"
VALUES = (
    None,
    True,
    -1,
    2**31,
    2**63,
    2**64 - 1,
    1e300,
    -0.5,
    "",
    "0",
    "zz",
    "abc",
    "\0",
    "x" * 256,
    "00" * 3000,
    [],
    [1],
    {},
    {"a": 1},
)


def taken_apart(cursor):
    return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def put_together(parts):
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def forged(cursor):
    """The good cursor with each part of its position changed, left out or doubled, and others in the place of the whole."""
    version, bound, position = taken_apart(cursor)
    for at in range(len(position)):
        for value in VALUES:
            yield [version, bound, [*position[:at], value, *position[at + 1 :]]]
        yield [version, bound, position[:at]]
        yield [version, bound, [*position[: at + 1], *position[at:]]]
    for value in VALUES:
        yield [version, bound, value]
        yield [version, value, position]
        yield [value, bound, position]
    yield [version, bound]
    yield [version, bound, position, position]


@pytest.mark.parametrize("call", ["list", "list deleted", "subjects", "search", "search text"])
def test_a_forged_cursor_is_a_validation_error(schemas, call):
    async def scenario(store):
        subject = schemas.subject()
        made = await store.register_many(
            [
                {"subject": subject + end, "version": f"1.{n}.0-rc.1", "content": CONTENT, "description": "cursor"}
                for end in "ab"
                for n in range(4)
            ]
        )
        if call == "list deleted":
            for each in made:
                await store.delete(each.id)

        async def page(after=None):
            match call:
                case "list":
                    return await store.list(f"{subject}a", limit=2, after=after)
                case "list deleted":
                    return await store.list(f"{subject}a", deleted=True, limit=2, after=after)
                case "subjects":
                    return await store.subjects(subject, limit=1, after=after)
                case "search":
                    return await store.search(subject=f"{subject}a", limit=2, after=after)
                case _:
                    return await store.search("cursor", subject=f"{subject}a", limit=2, after=after)

        cursor = (await page()).next
        assert cursor is not None
        refused = 0
        for parts in forged(cursor):
            try:
                await page(put_together(parts))
            except errors.ValidationError as error:
                refused += error.place == "after"
        assert refused > len(VALUES) * 3
        assert len((await page(cursor)).items) > 0

    schemas.run(scenario)
