"""`tierstore modules`: make versions of modules and move them on, look at them, compare them, and write them to files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from tierstore.calls.acting import acting_as
from tierstore.cli.confirm import Confirmation
from tierstore.cli.invocation import FAILED, Invocation, Seconds
from tierstore.cli.output import Output, printable
from tierstore.errors import NotFoundError
from tierstore.store import Store
from tierstore.stores.modules import ModuleVersion, ModuleVersionInfo

BULK = click.option("--timeout", default="1h", show_default=True, type=Seconds(), help="Stop after this time.")
ACTOR = click.option("--actor", help="Who acts, for the audit.")
LISTED = 100
DIGEST_SHOWN = 12


@click.group()
def modules() -> None:
    """Make, look at and compare versions of modules of .proto files. --json prints JSON.

    \b
    Versions come from folders:
      tierstore --path data import protos --as module --name acme/common --version 1.0.0
    """


@modules.command()
@click.argument("name")
@click.option("--description", default="", help="What the module is for.")
@click.option("--tag", "tags", multiple=True, help="Add this tag (repeatable).")
@ACTOR
@click.pass_obj
def create(invocation: Invocation, name: str, *, description: str, tags: tuple[str, ...], actor: str | None) -> None:
    """Create the module NAME, without a version. The same again changes nothing."""

    async def action(store: Store) -> None:
        with _as(actor):
            made = await store.modules.create(name, description=description, tags=tags)
        invocation.out.facts("module", _module(made))

    invocation.run(action, makes=True)


@modules.command("list")
@click.argument("prefix", default="")
@click.option(
    "--limit", default=LISTED, show_default=True, type=click.IntRange(1, 1000), help="Show at most this many."
)
@click.pass_obj
def list_(invocation: Invocation, prefix: str, *, limit: int) -> None:
    """List the modules whose names begin with PREFIX."""

    async def action(store: Store) -> None:
        page = await store.modules.list(prefix=prefix, limit=limit)
        rows = [
            {"module": each.name, "tags": ", ".join(each.tags), "description": each.description} for each in page.items
        ]
        invocation.out.table("modules", rows)
        _say_if_more(invocation.out, page.next)
        if not rows:
            invocation.out.say("no module")

    invocation.run(action)


@modules.command()
@click.argument("name")
@click.argument("version")
@click.option(
    "--allow-unresolved", is_flag=True, help="Publish it even if it imports what nobody has, or a file does not parse."
)
@ACTOR
@click.pass_obj
def publish(invocation: Invocation, name: str, version: str, *, allow_unresolved: bool, actor: str | None) -> None:
    """Publish a draft: from then on its files never change."""
    _moving(invocation, actor, lambda store: store.modules.publish(name, version, allow_unresolved=allow_unresolved))


@modules.command()
@click.argument("name")
@click.argument("version")
@click.option("--reason", required=True, help="Why it should not be used any more.")
@click.option("--replaced-by", help="What takes its place.")
@ACTOR
@click.pass_obj
def deprecate(
    invocation: Invocation, name: str, version: str, *, reason: str, replaced_by: str | None, actor: str | None
) -> None:
    """Say that a published version should not be used any more, and why. It can still be read."""
    _moving(invocation, actor, lambda store: store.modules.deprecate(name, version, reason, replaced_by=replaced_by))


@modules.command()
@click.argument("name")
@click.argument("version")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@ACTOR
@click.pass_obj
def archive(invocation: Invocation, name: str, version: str, *, yes: bool, actor: str | None) -> None:
    """Archive a version for good: it is never the latest again, and no command brings it back.

    Asks first. Without a terminal, --yes is needed.
    """
    confirmed = Confirmation(yes=yes, again=f"modules archive {name} {version} --yes")

    async def move(store: Store) -> ModuleVersion:
        found = await _the_version(store, name, version)
        if found.state != "archived":
            confirmed.ask("This version is archived, for good", [f"{name} {version}, which is {found.state}"])
        return await store.modules.archive(name, version)

    _moving(invocation, actor, move)


def _moving(invocation: Invocation, actor: str | None, move: Callable[[Store], Any]) -> None:
    async def action(store: Store) -> None:
        with _as(actor):
            moved = await move(store)
        invocation.out.facts("version", _version(moved))

    invocation.run(action)


@modules.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--limit", default=LISTED, show_default=True, type=click.IntRange(1, 1000), help="Show so many versions.")
@click.pass_obj
def show(invocation: Invocation, name: str, version: str | None, *, limit: int) -> None:
    """Show the module NAME with its versions, the highest first; or one VERSION. Exit code 1 if it is not there."""

    async def action(store: Store) -> None:
        out = invocation.out
        if version is not None:
            out.facts("version", _version(await _the_version(store, name, version)))
            return
        module = await store.modules.get(name)
        if module is None:
            raise NotFoundError(f"there is no module {name}; `tierstore modules list` shows what there is")
        out.facts("module", _module(module))
        page = await store.modules.list_versions(name, limit=limit)
        rows = [
            {"version": each.version, "state": each.state, "files": each.file_count, "bytes": each.content_size}
            for each in page.items
        ]
        out.table("versions", rows, title="versions")
        _say_if_more(out, page.next)

    invocation.run(action)


@modules.command()
@click.argument("name")
@click.argument("version")
@click.argument("inner", metavar="[PATH]", required=False)
@click.pass_obj
def files(invocation: Invocation, name: str, version: str, inner: str | None) -> None:
    """List the files of a version; with PATH, print that file, byte for byte."""

    async def action(store: Store) -> None:
        if inner is not None:
            invocation.out.raw(await store.modules.get_file(name, version, inner))
            return
        found = await _the_version(store, name, version)
        rows = [{"file": each, "bytes": info.size, "digest": info.digest} for each, info in found.files.items()]
        invocation.out.table("files", rows)
        if not rows:
            invocation.out.say("no file")

    if inner is not None and invocation.out.as_json:
        raise click.UsageError("a file is printed as it is; leave out --json")
    invocation.run(action)


@modules.command()
@click.argument("name")
@click.argument("version")
@BULK
@click.pass_obj
def changelog(invocation: Invocation, name: str, version: str, *, timeout: float) -> None:
    """Show what changed in VERSION against the next lower one that is no draft, and who changed it."""

    async def action(store: Store) -> None:
        changes = await store.modules.changelog(name, version, timeout=timeout)
        as_json = invocation.out.as_json
        rows = [
            {
                "change": each.kind,
                "of": each.path,
                "before": each.before if as_json else _short(each.kind, each.before),
                "after": each.after if as_json else _short(each.kind, each.after),
                "at": _time(each.at),
                "actor": each.actor,
            }
            for each in changes
        ]
        invocation.out.table("changes", rows)

    invocation.run(action)


def _short(kind: str, value: Any) -> Any:
    return value[:DIGEST_SHOWN] if kind.startswith("file_") and value is not None else value


@modules.command()
@click.argument("name")
@click.argument("old")
@click.argument("new")
@BULK
@click.pass_obj
def check(invocation: Invocation, name: str, old: str, new: str, *, timeout: float) -> None:
    """Check whether version NEW may break those who use OLD: by files, packages and public imports. Exit code 1 if it may."""
    ok = [True]

    async def action(store: Store) -> None:
        found = await store.modules.check_compatibility(name, old, new, timeout=timeout)
        ok[0] = found.ok
        rows = [
            {"rule": each.rule, "file": each.path, "line": each.line, "column": each.column, "message": each.message}
            for each in found.findings
        ]
        invocation.out.table("findings", rows)
        if not rows:
            invocation.out.say(f"nothing in {new} breaks those who use {old}; messages and services are not compared")

    invocation.run(action)
    if not ok[0]:
        sys.exit(FAILED)


@modules.command()
@click.argument("name", required=False)
@click.option(
    "--limit", default=LISTED, show_default=True, type=click.IntRange(1, 1000), help="Show at most this many."
)
@click.pass_obj
def audit(invocation: Invocation, name: str | None, *, limit: int) -> None:
    """Show what was changed, the newest first: of the module NAME, or of all."""

    async def action(store: Store) -> None:
        page = await store.modules.audit(name, limit=limit)
        rows = [
            {
                "at": _time(each.at),
                "actor": each.actor,
                "action": each.action,
                "module": each.module,
                "version": each.version,
                "request": each.request_id,
                "detail": dict(each.detail) if invocation.out.as_json else printable(str(dict(each.detail))),
            }
            for each in page.items
        ]
        invocation.out.table("audit", rows)
        _say_if_more(invocation.out, page.next)
        if not rows:
            invocation.out.say("nothing was changed")

    invocation.run(action)


@modules.command()
@click.argument("name")
@click.argument("version")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@BULK
@click.pass_obj
def export(invocation: Invocation, name: str, version: str, target: Path, *, timeout: float) -> None:
    """Write the files of a version to FILE, a zip. The same files give the same bytes; FILE is replaced when the new one is whole."""
    invocation.interrupted = "interrupted; nothing is left"

    async def action(store: Store) -> None:
        count = await store.modules.export(name, version, target, timeout=timeout)
        invocation.out.facts("export", {"files": count, "written": str(target)})

    invocation.run(action)


def _as(actor: str | None) -> AbstractContextManager[None]:
    return nullcontext() if actor is None else acting_as(actor)


async def _the_version(store: Store, name: str, version: str) -> ModuleVersion:
    found = await store.modules.get_version(name, version)
    if found is None:
        raise NotFoundError(f"there is no version {version} of {name}; `tierstore modules show {name}` lists them")
    return found


def _module(module: Any) -> dict[str, Any]:
    return {
        "module": module.name,
        "description": module.description,
        "tags": ", ".join(module.tags),
        "created": _time(module.created_at),
    }


def _version(version: ModuleVersion | ModuleVersionInfo) -> dict[str, Any]:
    deprecation = version.deprecation
    facts: dict[str, Any] = {
        "module": version.module,
        "version": version.version,
        "state": version.state,
        "description": version.description,
        "tags": ", ".join(version.tags),
        "files": version.file_count,
        "bytes": version.content_size,
        "digest": version.digest,
        "created": _time(version.created_at),
        "published": _time(version.published_at),
    }
    if deprecation is not None:
        facts |= {"deprecated": _time(version.deprecated_at), "reason": deprecation.reason}
        facts["replaced by"] = deprecation.replaced_by
    return facts


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _say_if_more(out: Output, following: str | None) -> None:
    if following is not None:
        out.say("… and more; raise --limit")
