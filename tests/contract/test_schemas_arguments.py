"""Every argument of every call, given something wrong: a typed error that names the place and the call, and nothing is changed."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tierstore import errors


class NoText:
    """A value that nothing can be done with, not even showing it."""

    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __repr__

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = object.__hash__


ID = "01890a5d-ac96-774b-bcce-b302099a8057"
"""An id that no schema has."""
NEVER = (0, 1.5, float("nan"), b"x", [None], {"a": float("nan")}, object(), NoText())
"""No argument but a number takes any of these."""
SURROGATE, NUL, HUGE = "\ud800", "a\0b", "x" * 10_000
ANY_TEXT = ("", SURROGATE, NUL, HUGE)
SUBJECTS = (*NEVER, *ANY_TEXT, None, True, "line\nbreak", "x" * 256)
LISTS = (0, 1.5, None, "x", b"x", {"a": 1}, [None], [SURROGATE], [NUL], [b"x"], object(), NoText(), [NoText()])
LIMITS = (None, 0, -1, 1.5, True, "10", 2**70, float("nan"), [], NoText())
CURSORS = (*NEVER, *ANY_TEXT, True, "x", "x=", "e30")
FLAGS = (None, 0, 1, "false", [], NoText())
STATES = (0, "active", b"", {}, ["gone"], [None], [NoText()], NoText())
EXPECTED = (1.5, "1", True, 2**70, [], NoText())


def register(**wrong):
    return lambda store: store.register(**{"subject": "s", "version": "1.0.0", "content": b"{}", **wrong})


def item(**wrong):
    return lambda store: store.register_many([{"subject": "s", "version": "1.0.0", "content": b"{}", **wrong}])


OF_AN_ITEM = {
    "subject": SUBJECTS,
    "version": (*NEVER, *ANY_TEXT, None, "1", "1.0", "v1.0.0", "1.0.0-\ud800"),
    "content": (None, 0, "{}", [], object(), NoText()),
    "schema_type": (*NEVER, *ANY_TEXT, None, "xml"),
    "metadata": (0, "x", b"x", [], {1: 2}, {"a": float("nan")}, {"a": object()}, {SURROGATE: 1}, {NUL: 1}, NoText()),
    "description": (*NEVER, None, SURROGATE, NUL, HUGE),
    "tags": (*LISTS, [HUGE], [str(number) for number in range(65)]),
    "state": (*NEVER, *ANY_TEXT, None, "gone"),
    "id": (*NEVER, *ANY_TEXT, True, "x", ID + "0"),
}
WRONG = {
    **{f"register {name}": (lambda value, name=name: register(**{name: value}), of) for name, of in OF_AN_ITEM.items()},
    **{
        f"register_many {name}": (lambda value, name=name: item(**{name: value}), of) for name, of in OF_AN_ITEM.items()
    },
    "register idempotency_key": (lambda value: register(idempotency_key=value), (*NEVER, *ANY_TEXT, True)),
    "register_many": (lambda value: lambda store: store.register_many(value), LISTS),
    "get": (lambda value: lambda store: store.get(value), (*NEVER, *ANY_TEXT, None, "x")),
    "get_many": (lambda value: lambda store: store.get_many(value), LISTS),
    "get_version subject": (lambda value: lambda store: store.get_version(value, "1.0.0"), SUBJECTS),
    "get_version": (lambda value: lambda store: store.get_version("s", value), OF_AN_ITEM["version"]),
    "get_latest": (lambda value: lambda store: store.get_latest(value), SUBJECTS),
    "get_latest states": (lambda value: lambda store: store.get_latest("s", states=value), STATES),
    "get_latest prerelease": (lambda value: lambda store: store.get_latest("never", prerelease=value), FLAGS),
    "get_latest_many": (lambda value: lambda store: store.get_latest_many(value), LISTS),
    "list": (lambda value: lambda store: store.list(value), SUBJECTS),
    "list deleted": (lambda value: lambda store: store.list("s", deleted=value), FLAGS),
    "list schema_type": (lambda value: lambda store: store.list("s", schema_type=value), (*NEVER, *ANY_TEXT, "xml")),
    "subjects": (lambda value: lambda store: store.subjects(value), (*NEVER, SURROGATE, NUL, HUGE, None)),
    "search": (lambda value: lambda store: store.search(value), (*NEVER, SURROGATE, NUL, HUGE, True)),
    "search subject": (lambda value: lambda store: store.search(subject=value), (*NEVER, *ANY_TEXT)),
    "search tags": (lambda value: lambda store: store.search(tags=value), LISTS),
    "search metadata": (
        lambda value: lambda store: store.search(metadata=value),
        tuple(value for value in OF_AN_ITEM["metadata"] if value is not None),
    ),
    **{
        f"{name} {argument}": (
            lambda value, name=name, argument=argument: (
                lambda store: getattr(store, name)(*(["s"] if name == "list" else []), **{argument: value})
            ),
            of,
        )
        for name in ("list", "subjects", "search")
        for argument, of in (("limit", LIMITS), ("after", CURSORS))
    },
    "list states": (lambda value: lambda store: store.list("s", states=value), STATES),
    "search states": (lambda value: lambda store: store.search(states=value), STATES),
    "set_state": (lambda value: lambda store: store.set_state(value, "active"), (*NEVER, *ANY_TEXT, None)),
    "set_state state": (lambda value: lambda store: store.set_state(ID, value), OF_AN_ITEM["state"]),
    "set_state reason": (
        lambda value: lambda store: store.set_state(ID, "active", reason=value),
        (*NEVER, SURROGATE, NUL, HUGE),
    ),
    "set_state expected": (lambda value: lambda store: store.set_state(ID, "active", expected_version=value), EXPECTED),
    "delete expected": (lambda value: lambda store: store.delete(ID, expected_version=value), EXPECTED),
    **{
        name: (lambda value, name=name: lambda store: getattr(store, name)(value), (*NEVER, *ANY_TEXT, None))
        for name in ("delete", "restore", "purge", "presign")
    },
    "presign expires": (lambda value: lambda store: store.presign(ID, expires=value), (*LIMITS, 7 * 86_400 + 1)),
    "popular": (lambda value: lambda store: store.popular(value), LIMITS),
    "warm": (lambda value: lambda store: store.warm(value), LIMITS),
    "export": (lambda value: lambda store: store.export(value), (*NEVER, "", "..", SURROGATE, NUL, None)),
    "import_": (lambda value: lambda store: store.import_(value), (*NEVER, "", "..", SURROGATE, NUL, None)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named_and_changes_nothing(schemas, name):
    call, values = WRONG[name]

    async def scenario(store):
        before = await store.statistics()
        for value in values:
            with pytest.raises(errors.ValidationError) as caught:
                await call(value)(store)
            error = caught.value
            assert error.place, error
            assert (error.store, error.operation) == ("schemas", name.split(" ")[0]), error
            assert len(str(error)) < 500
            assert pickle.loads(pickle.dumps(error)).place == error.place
        after = await store.statistics()
        assert (after.total_schemas, after.by_state) == (before.total_schemas, before.by_state)

    schemas.run(scenario)


@pytest.mark.parametrize(
    "name", ["register", "register_many items", "get_many", "get_latest_many", "get_latest", "list"]
)
def test_a_transaction_refuses_alike_and_goes_on(schemas, name):
    wrong = {
        "register": lambda tx: tx.register("\0", "1.0.0", b"{}"),
        "register_many items": lambda tx: tx.register_many([{"subject": "s"}]),
        "get_many": lambda tx: tx.get_many("x"),
        "get_latest_many": lambda tx: tx.get_latest_many(None),
        "get_latest": lambda tx: tx.get_latest("s", prerelease="false"),
        "list": lambda tx: tx.list("s", deleted=0),
    }
    subject = schemas.subject()

    async def scenario(store):
        async with store.transaction() as tx:
            with pytest.raises(errors.ValidationError) as caught:
                await wrong[name](tx)
            await tx.register(subject, "1.0.0", b"{}")
        assert caught.value.operation == f"transaction.{name.split(' ')[0]}"
        assert await store.get_latest(subject) is not None

    schemas.run(scenario)


@pytest.mark.parametrize(("name", "values"), [("get_many", [ID, "x"]), ("get_latest_many", ["s", "\0"])])
def test_the_wrong_one_of_many_is_named(schemas, name, values):
    async def scenario(store):
        with pytest.raises(errors.InvalidKeyError, match=r"\[1\]: ") as caught:
            await getattr(store, name)(values)
        return caught.value

    assert "[1]." in schemas.run(scenario).place


def test_nothing_is_written_for_a_path_that_is_none(schemas, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def scenario(store):
        for path in ("", ".", "..", "a\0b", 5):
            with pytest.raises(errors.ValidationError, match="path"):
                await store.export(path)

    schemas.run(scenario)
    assert list(Path().iterdir()) == []
