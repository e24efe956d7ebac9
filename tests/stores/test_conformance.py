"""What every store of the roster does alike. A store that joins it is tested here without a line of its own but its samples."""

from __future__ import annotations

import asyncio
import inspect
import math
import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tierstore
from tests.contract.schema_stores import FACES, Opened, opened
from tests.stores.samples import PREPARE, Call, calls_of
from tierstore.calls.scope import OpenTransaction
from tierstore.errors import ClosedError, ConflictError, StorageError, UnsupportedError, ValidationError
from tierstore.store import Store, parts_of
from tierstore.stores import roster
from tierstore.telemetry import OpenTelemetry

WRONG_TIMEOUTS = (-1, 0, math.nan, math.inf, "1", True, [])
Told = tuple[str, StorageError | None]


async def make(on: Any, call: str, sample: Call, /, **named: Any) -> Any:
    """One call on a store, outside or inside a transaction."""
    return await getattr(on, call)(*sample.args, **{**sample.named, **named})


async def error_of(call: Awaitable[Any]) -> StorageError | None:
    """The error of a call, if it raised one of ours."""
    try:
        await call
    except StorageError as error:
        return error
    return None


def having(name: str, parameter: str) -> list[str]:
    """The calls of a store that take a parameter."""
    return [call for call, signature in calls_of(roster()[name]).items() if parameter in signature.parameters]


def test_every_call_has_a_sample(name: str, tmp_path: Path):
    async def scenario() -> set[str]:
        async with tierstore.open(tmp_path / "store") as store:
            return set(await PREPARE[name](store, tmp_path))

    assert asyncio.run(scenario()) == set(calls_of(roster()[name]))


def test_every_call_takes_a_timeout_and_none_takes_a_wrong_one(shared: Opened, name: str, tmp_path: Path):
    async def scenario() -> list[tuple[str, object, StorageError | None]]:
        samples = await PREPARE[name](shared.store, tmp_path)
        store = getattr(shared.store, name)
        return [
            (call, timeout, await error_of(make(store, call, sample, timeout=timeout)))
            for call, sample in samples.items()
            for timeout in WRONG_TIMEOUTS
        ]

    for call, timeout, error in shared.face.run(scenario):
        assert isinstance(error, ValidationError), (call, timeout)
        assert (error.place, error.store, error.operation) == ("timeout", name, call)
        assert "positive number of seconds" in str(error)


def test_read_and_not_before_are_checked_in_both_scopes(shared: Opened, name: str, tmp_path: Path):
    async def scenario() -> list[tuple[str, str, StorageError | None]]:
        samples, found = await PREPARE[name](shared.store, tmp_path), []
        for call in having(name, "read"):
            for wrong in ({"read": "nonsense"}, {"read": "bounded:x"}, {"not_before": "?"}):
                found.append(
                    ("outside", call, await error_of(make(getattr(shared.store, name), call, samples[call], **wrong)))
                )
                async with shared.store.transaction() as tx:
                    found.append(
                        ("inside", call, await error_of(make(getattr(tx, name), call, samples[call], **wrong)))
                    )
        return found

    answers = shared.face.run(scenario)
    assert answers or not having(name, "read")
    for scope, call, error in answers:
        assert isinstance(error, ValidationError), (scope, call)
        assert error.place in ("read", "not_before")


def test_every_call_is_there_in_a_transaction_and_answers_the_same(shared: Opened, name: str, tmp_path: Path):
    """What it cannot do there it refuses by name, and the transaction goes on."""

    async def scenario() -> list[Told]:
        found: list[Told] = []
        reads = having(name, "read")
        for call in calls_of(roster()[name]):
            sample = (await PREPARE[name](shared.store, tmp_path))[call]
            outside = await make(getattr(shared.store, name), call, sample, read="latest") if call in reads else None
            async with shared.store.transaction() as tx:
                try:
                    inside = await make(getattr(tx, name), call, sample)
                except UnsupportedError as error:
                    found.append((call, error))
                    continue
                found.append((call, None))
                if call in reads:
                    assert inside == outside, call
        return found

    answers = shared.face.run(scenario)
    assert [call for call, error in answers if error is None]
    for call, error in answers:
        if error is not None:
            assert (error.store, error.operation) == (name, call)
            assert "transaction" in str(error)


def test_a_transaction_that_is_rolled_back_leaves_nothing(shared: Opened, name: str, tmp_path: Path):
    async def scenario() -> None:
        for call in having(name, "idempotency_key"):
            sample = (await PREPARE[name](shared.store, tmp_path))[call]
            before = await getattr(shared.store, name).statistics()
            async with shared.store.transaction() as tx:
                await make(getattr(tx, name), call, sample)
                await tx.rollback()
            after = await getattr(shared.store, name).statistics()
            assert _counts(after) == _counts(before), call
            await make(getattr(shared.store, name), call, sample)

    shared.face.run(scenario)


def _counts(statistics: Any) -> dict[str, int]:
    facts = (
        statistics if isinstance(statistics, dict) else {key: getattr(statistics, key) for key in statistics.__slots__}
    )
    return {key: value for key, value in facts.items() if isinstance(value, int)}


def test_cursors_belong_to_their_query(shared: Opened, name: str, tmp_path: Path):
    forged = ("x", "", "é", "bm9uZQ", "W10", "WzEsMiwzXQ", 5, b"x", "W" * 9_000)

    async def scenario() -> list[tuple[str, object, StorageError | None]]:
        samples, store = await PREPARE[name](shared.store, tmp_path), getattr(shared.store, name)
        pages = {call: await make(store, call, samples[call], limit=1) for call in having(name, "after")}
        found = []
        for call, page in pages.items():
            assert page.next is not None, call
            following = await make(store, call, samples[call], limit=1, after=page.next)
            assert following.items, call
            assert following.items != page.items, call
            others = [other.next for another, other in pages.items() if another != call]
            for after in (*forged, *others, page.next + "A", page.next[:-1]):
                found.append((call, after, await error_of(make(store, call, samples[call], limit=1, after=after))))
        return found

    for call, after, error in shared.face.run(scenario):
        assert isinstance(error, ValidationError), (call, after)
        assert (error.place, error.store, error.operation) == ("after", name, call)


def test_a_key_makes_a_write_happen_once(shared: Opened, name: str, tmp_path: Path):
    async def scenario() -> None:
        store = getattr(shared.store, name)
        for call in having(name, "idempotency_key"):
            sample = (await PREPARE[name](shared.store, tmp_path))[call]
            key = f"{call} {tmp_path.name}"
            first = await make(store, call, sample, idempotency_key=key)
            assert await make(store, call, sample, idempotency_key=key) == first, call
            async with shared.store.transaction() as tx:
                assert await make(getattr(tx, name), call, sample, idempotency_key=key) == first, call
            other = (await PREPARE[name](shared.store, tmp_path))[call]
            error = await error_of(make(store, call, other, idempotency_key=key))
            assert isinstance(error, ConflictError), call
            for wrong in ("", "x" * 256, "\n", 5, b"x"):
                error = await error_of(make(store, call, sample, idempotency_key=wrong))
                assert isinstance(error, ValidationError), (call, wrong)
                assert error.place == "idempotency_key"

    shared.face.run(scenario)


@pytest.mark.parametrize("face", FACES)
def test_a_closed_store_says_so(name: str, face: str, tmp_path: Path):
    with opened("sqlite", face, tierstore.Config(tmp_path / "store")) as opened_store:

        async def scenario() -> list[Told]:
            samples = await PREPARE[name](opened_store.store, tmp_path)
            store = getattr(opened_store.store, name)
            await opened_store.store.close()
            return [(call, await error_of(make(store, call, sample))) for call, sample in samples.items()]

        for call, error in opened_store.face.run(scenario):
            assert isinstance(error, ClosedError), call
            assert (error.store, error.operation) == (name, call)


def test_another_event_loop_is_refused(name: str, tmp_path: Path):
    with asyncio.Runner() as runner:

        async def begin() -> tuple[Store, dict[str, Call]]:
            store = await tierstore.open(tmp_path / "store")
            return store, await PREPARE[name](store, tmp_path)

        store, samples = runner.run(begin())
        try:
            for call, sample in samples.items():
                error = asyncio.run(error_of(make(getattr(store, name), call, sample)))
                assert isinstance(error, ClosedError), call
                assert "loop" in str(error)
                assert (error.store, error.operation) == (name, call)
        finally:
            runner.run(store.close())


@pytest.mark.parametrize("face", FACES)
def test_a_forked_child(name: str, face: str, tmp_path: Path):
    """Async: it has to open a store of its own. Blocking: its first call opens everything anew."""
    child = [sys.executable, "-m", "tests.stores.forking", name, face, str(tmp_path)]
    done = subprocess.run(child, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["child: every call", "parent: every call"]), done.stderr


def test_each_call_has_a_span_by_its_name(name: str, tmp_path: Path):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = OpenTelemetry(tracer_provider=provider)

    def spans() -> list[str]:
        names = [span.name for span in exporter.get_finished_spans()]
        exporter.clear()
        return names

    async def scenario() -> None:
        async with tierstore.open(tmp_path / "store", telemetry=telemetry) as store:
            for call in calls_of(roster()[name]):
                sample = (await PREPARE[name](store, tmp_path))[call]
                spans()
                await error_of(make(getattr(store, name), call, sample))
                assert f"tierstore.{name}.{call}" in spans()
                async with store.transaction() as tx:
                    refused = await error_of(make(getattr(tx, name), call, sample))
                    if not isinstance(refused, UnsupportedError):
                        assert f"tierstore.{name}.transaction.{call}" in spans()

    asyncio.run(scenario())


def test_its_form_that_is_a_transaction_has_its_calls(name: str):
    """`store.<name>.transaction()`, where a store has it."""
    store = roster()[name]
    if (begin := getattr(store, "transaction", None)) is None:
        return
    answered = str(inspect.signature(begin).return_annotation)
    (form,) = [each for each in store.__subclasses__() if each.__name__ in answered]
    assert issubclass(form, OpenTransaction)
    assert set(calls_of(form)) == set(calls_of(store)) | {"commit", "rollback"}


def test_every_store_is_asked_what_a_sweep_may_remove(shared: Opened, name: str):
    async def scenario() -> set[str]:
        parts = parts_of(shared.store)
        return await parts.stores[name].referenced(["0" * 64], parts.runtime.deadline(5))

    assert shared.face.run(scenario) == set()


def test_content_that_can_come_back_is_still_needed(shared: Opened):
    """A live one, and one that is only softly deleted; not a purged one, nor what nobody stored."""

    async def scenario() -> None:
        parts, schemas = parts_of(shared.store), shared.store.schemas
        made = [
            await schemas.register("sweep", f"{number}.0.0", b'"' + bytes([65 + number]) * 100_000 + b'"')
            for number in range(3)
        ]
        digests = [schema.content_digest for schema in made]
        await schemas.delete(made[1].id)
        await schemas.purge(made[2].id)
        deadline = parts.runtime.deadline(10)
        assert await parts.referenced([*digests, "0" * 64], deadline) == set(digests[:2])

    shared.face.run(scenario)
