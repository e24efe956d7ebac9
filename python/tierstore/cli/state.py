"""`tierstore state`: look at values and change them, follow them, and take them from one place to another."""

from __future__ import annotations

import base64
import json
import math
import sys
from pathlib import Path
from typing import Any

import click

from tierstore.calls.lines import count_lines
from tierstore.cli.blobs import LEAST_TOTAL, Bar
from tierstore.cli.invocation import FAILED, Invocation, Seconds
from tierstore.cli.output import Output, printable
from tierstore.errors import NotFoundError, raise_alone
from tierstore.store import Store
from tierstore.stores.state import DEFAULT, StateStatistics, StateStore
from tierstore.stores.state import values as state_values

FILE = click.Path(path_type=Path, dir_okay=False)
BULK = click.option("--timeout", default="1h", show_default=True, type=Seconds(), help="Stop after this time.")


@click.group()
def state() -> None:
    """Look at state, change it, follow it, and take it elsewhere. --json prints JSON."""


@state.command()
@click.argument("key")
@click.pass_obj
def get(invocation: Invocation, key: str) -> None:
    """Print the value under KEY: JSON as text, bytes as they are. Exit code 1 if there is none."""

    async def action(store: Store) -> None:
        entry = await store.state.get_entry(key)
        if entry is None:
            raise _nothing()
        out = invocation.out
        is_bytes = isinstance(entry.value, bytes)
        if out.as_json:
            value = {"base64": base64.b64encode(entry.value).decode()} if is_bytes else {"value": entry.value}
            ends = None if entry.expires_at is None else entry.expires_at.isoformat()
            out.facts("entry", {"key": key, **value, "etag": entry.etag, "expires_at": ends})
        elif is_bytes:
            out.raw(entry.value)
        else:
            out.raw(state_values.encode(entry.value) + b"\n")

    invocation.run(action)


@state.command("set")
@click.argument("key")
@click.argument("value", required=False)
@click.option("--text", is_flag=True, help="VALUE is a text, not JSON.")
@click.option("--file", "source", type=click.File("rb"), help="Store the bytes of this file (- for standard input).")
@click.option("--ttl", type=Seconds(), help="Let the value end after this time; without it, after the configured time.")
@click.option("--no-end", is_flag=True, help="Let it have no end.")
@click.option("--if-absent", is_flag=True, help="Fail if there is a value already.")
@click.pass_obj
def set_(
    invocation: Invocation,
    key: str,
    value: str | None,
    *,
    text: bool,
    source: Any,
    ttl: float | None,
    no_end: bool,
    if_absent: bool,
) -> None:
    """Store VALUE, as JSON, under KEY, and print its etag."""
    if (value is None) == (source is None):
        raise click.UsageError("give either VALUE or --file")
    if no_end and ttl is not None:
        raise click.UsageError("give either --ttl or --no-end")
    stored: Any = source.read() if source is not None else value if text else _parsed(str(value))
    lifetime = None if no_end else DEFAULT if ttl is None else ttl

    async def action(store: Store) -> None:
        etag = await store.state.set(key, stored, ttl=lifetime, if_absent=if_absent)
        invocation.out.facts("set", {"etag": etag})

    invocation.run(action, makes=True)


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise_alone(click.UsageError("VALUE is not JSON; a text needs quotes of its own ('\"text\"') or --text"))


@state.command()
@click.argument("keys", nargs=-1, required=True)
@click.pass_obj
def delete(invocation: Invocation, keys: tuple[str, ...]) -> None:
    """Delete the values under KEYS, and print how many there were."""

    async def action(store: Store) -> None:
        invocation.out.facts("delete", {"deleted": await store.state.delete_many(keys)})

    invocation.run(action)


@state.command()
@click.argument("key")
@click.pass_obj
def ttl(invocation: Invocation, key: str) -> None:
    """Print the seconds that the value under KEY has left; "never ends" without an end. Exit code 1 if there is none."""

    async def action(store: Store) -> None:
        left = await store.state.ttl(key)
        if left is None:
            raise _nothing()
        ends = left != math.inf
        shown = (
            {"seconds": left if ends else None} if invocation.out.as_json else {"ttl": left if ends else "never ends"}
        )
        invocation.out.facts("ttl", shown)

    invocation.run(action)


@state.command()
@click.argument("prefix", default="")
@click.option("--limit", type=click.IntRange(1), help="Print at most this many keys.")
@click.pass_obj
def keys(invocation: Invocation, prefix: str, *, limit: int | None) -> None:
    """Print the keys that begin with PREFIX, in no particular order: one a line, control characters escaped."""

    async def action(store: Store) -> None:
        found: list[str] = []
        left = sys.maxsize if limit is None else limit
        async for key in store.state.scan(prefix):
            if invocation.out.as_json:
                found.append(key)
            else:
                print(printable(key))
            left -= 1
            if not left:
                break
        invocation.out.table("keys", [{"key": key} for key in found])

    invocation.run(action)


@state.command()
@click.argument("prefix", default="")
@click.option("--for", "seconds", type=Seconds(), help="End when nothing came for this time.")
@click.pass_obj
def watch(invocation: Invocation, prefix: str, *, seconds: float | None) -> None:
    """Print every change of keys that begin with PREFIX, as it comes, until interrupted. With --json: one object a line."""
    as_json = invocation.out.as_json
    invocation.out = Output(as_json=False)  # lines, not one document at the end
    invocation.interrupted = "interrupted"

    async def action(store: Store) -> None:
        async with store.state.watch(prefix, idle=seconds) as changes:
            async for change in changes:
                line = change.to_json() if as_json else f"{change.kind}\t{printable(change.key)}"
                print(line, flush=True)

    invocation.run(action)


@state.command("export")
@click.argument("target", metavar="FILE", type=FILE)
@click.option("--prefix", default="", help="Export only keys that begin with this text.")
@click.option(
    "--resume", is_flag=True, help="Go on with an export that was interrupted; leave what is written if this one is."
)
@BULK
@click.pass_obj
def export(invocation: Invocation, target: Path, *, prefix: str, resume: bool, timeout: float) -> None:
    """Write state to FILE: a JSON line a value, with the time at which it ends.

    Encrypted values are written opened: keep FILE as you keep the keys. Exit code 1 if values could not be opened and are not in it.
    """
    if not resume:
        invocation.interrupted = (
            "interrupted; nothing is left. With --resume an export goes on where it was interrupted"
        )

    async def action(store: Store) -> None:
        out, state = invocation.out, store.state
        with out.progress("exporting", await _count(state)) as advance:
            report = await state.export(target, prefix=prefix, resume=resume, progress=Bar(advance), timeout=timeout)
        out.facts("export", {"exported": report.exported, "unreadable": report.unreadable})
        _end_if_unreadable(out, report.patterns)

    invocation.run(action)


@state.command("import")
@click.argument("source", metavar="FILE", type=FILE)
@click.option(
    "--existing",
    default="replace",
    show_default=True,
    type=click.Choice(["replace", "skip"]),
    help="What happens to keys that are there.",
)
@BULK
@click.pass_obj
def import_(invocation: Invocation, source: Path, *, existing: Any, timeout: float) -> None:
    """Store what FILE, written by `export`, holds. Values whose time has come are left out."""

    async def action(store: Store) -> None:
        out = invocation.out
        with out.progress("importing", max(LEAST_TOTAL, count_lines(source))) as advance:
            report = await store.state.import_(source, existing=existing, progress=Bar(advance), timeout=timeout)
        out.facts("import", report.asdict())

    invocation.run(action, makes=True)


@state.command()
@click.argument("prefix", default="")
@BULK
@click.pass_obj
def rekey(invocation: Invocation, prefix: str, *, timeout: float) -> None:
    """Seal the values whose keys begin with PREFIX anew, with the active key of the configuration.

    Exit code 1 if some could not be opened. What is sealed so already is left alone: run it again at any time.
    """

    async def action(store: Store) -> None:
        out, state = invocation.out, store.state
        with out.progress("sealing", await _count(state)) as advance:
            report = await state.rekey(prefix, progress=Bar(advance), timeout=timeout)
        out.facts("rekey", {"checked": report.checked, "sealed": report.sealed, "unreadable": report.unreadable})
        _end_if_unreadable(out, report.patterns)

    invocation.run(action)


def _end_if_unreadable(out: Output, patterns: tuple[str, ...]) -> None:
    out.table("unreadable", [{"keys": pattern} for pattern in patterns], title="cannot be opened")
    if patterns:
        out.finish()
        sys.exit(FAILED)


async def _count(state: StateStore) -> int:
    counted: StateStatistics | None = await state.statistics()
    return max(LEAST_TOTAL, (counted.keys if counted else None) or 0)


def _nothing() -> NotFoundError:
    return NotFoundError("there is no value under this key")
