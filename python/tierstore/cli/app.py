"""The commands, one function each. They parse and print; what they do is in the modules they call."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click

from tierstore.cli.confirm import Confirmation
from tierstore.cli.invocation import FAILED, Invocation, Seconds
from tierstore.cli.modules import modules
from tierstore.cli.state import state
from tierstore.store import Store


def _keep(context: click.Context, param: click.Parameter, value: Any) -> None:
    invocation = context.ensure_object(Invocation)
    if param.name == "read_only":
        invocation.read_only |= value
    elif param.name == "as_json":
        invocation.out.as_json |= value
    elif value is not None:
        setattr(invocation, str(param.name), value)


def _common() -> list[click.Option]:
    """Options that are accepted before and after the command's name."""
    file = click.Path(path_type=Path)
    return [
        click.Option(
            ["--path"],
            help="Use the embedded store in this folder (SQLite and files, no servers).",
            callback=_keep,
            expose_value=False,
        ),
        click.Option(
            ["--config", "file"],
            type=file,
            help="Read the configuration from this TOML file.",
            callback=_keep,
            expose_value=False,
        ),
        click.Option(
            ["--read-only"],
            is_flag=True,
            help="Change nothing: a role that may only SELECT is enough, and a folder that cannot be written.",
            callback=_keep,
            expose_value=False,
        ),
        click.Option(
            ["--json", "as_json"], is_flag=True, help="Print one JSON document.", callback=_keep, expose_value=False
        ),
    ]


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, params=_common())
@click.version_option(package_name="tierstore")
def cli() -> None:
    """Store and look up schemas, state and modules, in a folder without servers or on PostgreSQL, Redis and S3.

    \b
    Try:   tierstore demo
    Then:  tierstore --path data import FOLDER
           tierstore --path data search order
    Without --path and --config, environment variables name the store (TIERSTORE_PATH, DATABASE_URL, REDIS_URL, S3_BUCKET, …).
    """
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # what it says is in our own errors


@cli.command()
@click.option(
    "--input",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Import this folder instead of the files of installed packages.",
)
@click.pass_obj
def demo(invocation: Invocation, folder: Path | None) -> None:
    """Import real .proto files and JSON Schemas, look them up, and measure each tier."""
    from tierstore.cli.demo import run_demo

    invocation.guard(lambda: run_demo(invocation, folder))


@cli.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--as",
    "kind",
    default="schemas",
    show_default=True,
    type=click.Choice(["schemas", "module", "modules"]),
    help="Each file a schema; the folder a version of one module; or each folder in it a version of a module.",
)
@click.option("--prefix", default="", help="Put this text before every subject, or before every module's name.")
@click.option("--tag", "tags", multiple=True, help="Add this tag to every schema (repeatable).")
@click.option("--name", help="The module (with --as module).")
@click.option("--version", help="The version (with --as module or modules).")
@click.option(
    "--state",
    type=click.Choice(["draft", "published"]),
    help="The state of the version (with --as module or modules).  [default: published]",
)
@click.option(
    "--relative-to",
    type=click.Choice(["module", "root"]),
    help="Let paths begin at each module's folder, or at FOLDER (with --as modules).  [default: module]",
)
@click.option(
    "--resolved",
    is_flag=True,
    help="Refuse to publish a version that imports what nobody has, or has a file that does not parse "
    "(with --as module or modules).",
)
@click.option("--timeout", default="1h", show_default=True, type=Seconds(), help="Stop after this time (modules).")
@click.pass_obj
def import_(invocation: Invocation, /, folder: Path, **given: Any) -> None:
    """Register every .proto, .avsc and .json file of FOLDER as a subject; or make its .proto files versions of modules.

    \b
    tierstore --path data import schemas
    tierstore --path data import protos --as module --name acme/common --version 1.0.0
    tierstore --path data import protos --as modules --prefix acme/ --version 1.0.0

    Unchanged files are skipped, changed files become the next minor version, and an interrupted import continues where it stopped.
    A version of a module that is there with the same files is left alone.
    What is refused is listed with the reason; the exit code is then 1.
    """
    from tierstore.cli.folders import check_options

    check_options(**given)
    if given["kind"] == "schemas":
        _import_schemas(invocation, folder, given["prefix"], given["tags"])
        return
    from tierstore.cli.folders import Folder, import_modules

    wanted = {name: given[name] for name in ("name", "version", "prefix", "timeout")}
    wanted |= {"relative_to": given["relative_to"] or "module", "state": given["state"] or "published"}
    wanted["allow_unresolved"] = not given["resolved"]
    import_modules(invocation, Folder(folder, **wanted))


def _import_schemas(invocation: Invocation, folder: Path, prefix: str, tags: tuple[str, ...]) -> None:
    from tierstore.cli.importing import Importer, scan

    async def action(store: Store) -> None:
        importer = Importer(store, invocation.out)
        await importer.run(scan(folder, prefix=prefix, tags=tags))
        importer.show()
        if importer.refused:
            invocation.out.finish()
            sys.exit(FAILED)

    invocation.run(action, makes=True)


@cli.command()
@click.argument("subject")
@click.argument("version", required=False)
@click.option("--content", is_flag=True, help="Print the content only, byte for byte.")
@click.pass_obj
def show(invocation: Invocation, subject: str, version: str | None, *, content: bool) -> None:
    """Show the latest version of SUBJECT, or VERSION."""
    from tierstore.cli.views import show_schema

    invocation.run(lambda store: show_schema(store, invocation.out, subject, version, content=content))


@cli.command()
@click.argument("text", required=False)
@click.option("--tag", "tags", multiple=True, help="Find only schemas with this tag; repeat it to ask for several.")
@click.option("--type", "schema_type", help="Find only schemas of this type: json, jsonschema, avro or protobuf.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Show at most this many schemas."
)
@click.pass_obj
def search(
    invocation: Invocation, text: str | None, tags: tuple[str, ...], schema_type: str | None, limit: int
) -> None:
    """Find schemas by words of their subject, description or content. Tolerates typos."""
    from tierstore.cli.views import search_schemas

    invocation.run(
        lambda store: search_schemas(store, invocation.out, text, tags=tags, schema_type=schema_type, limit=limit)
    )


@cli.group()
def migrate() -> None:
    """Apply, revert or list migrations."""


@migrate.command("up")
@click.pass_obj
def migrate_up(invocation: Invocation) -> None:
    """Apply all pending migrations."""
    from tierstore.cli.migrating import up

    invocation.guard(lambda: up(invocation.config(), invocation.out))


@migrate.command("down")
@click.option("--steps", default=1, show_default=True, type=click.IntRange(1), help="Revert this many migrations.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def migrate_down(invocation: Invocation, steps: int, *, yes: bool) -> None:
    """Revert the last migration. The data in its tables is lost.

    Shows what would be lost and asks first. Without a terminal, --yes is needed.
    """
    from tierstore.cli.migrating import down

    confirmed = Confirmation(yes=yes, again=f"migrate down --steps {steps} --yes")
    invocation.guard(lambda: down(invocation.existing(), invocation.out, steps, confirmed))


@migrate.command("status")
@click.pass_obj
def migrate_status(invocation: Invocation) -> None:
    """List the migrations and whether each is applied. Exit code 0 if none is pending, else 1. Changes nothing."""
    from tierstore.cli.migrating import status

    current = [True]

    async def work() -> None:
        current[0] = await status(invocation.existing(), invocation.out)

    invocation.guard(work)
    if not current[0]:
        sys.exit(FAILED)


for alias, command in (("run", migrate_up), ("revert", migrate_down), ("info", migrate_status)):
    migrate.add_command(command, alias)


@cli.group()
def blobs() -> None:
    """Check or clean up content that is too large to be stored in its row."""


@blobs.command("sweep")
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option(
    "--grace",
    default="24h",
    show_default=True,
    type=Seconds(),
    help="Remove content that was marked at least this long ago; mark the rest.",
)
@click.option(
    "--max-share",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Refuse to remove more than this share of all content (0 to 1).",
)
@click.option("--timeout", default="1h", show_default=True, type=Seconds(), help="Stop after this time.")
@click.pass_obj
def blobs_sweep(
    invocation: Invocation, *, dry_run: bool, yes: bool, grace: float, max_share: float, timeout: float
) -> None:
    """Remove content that nothing refers to: purged content, and what crashes left behind.

    The first run marks such content; a run after the grace period removes it. Shows what would be removed and asks first. Without a
    terminal, --yes is needed.
    """
    from tierstore.cli.blobs import sweep

    confirmed = Confirmation(yes=yes, again=f"blobs sweep --grace {grace:g}s --max-share {max_share:g} --yes")
    invocation.run(
        lambda store: sweep(
            store, invocation.out, confirmed, dry_run=dry_run, grace=grace, max_share=max_share, timeout=timeout
        )
    )


@blobs.command("migrate")
@click.option(
    "--to",
    required=True,
    type=click.Choice(["object", "row"]),
    help="Where to: the object store, or the database's rows.",
)
@click.option("--min-size", type=click.IntRange(0), help="Leave content of fewer bytes where it is.")
@click.option("--dry-run", is_flag=True, help="Only show what would move.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--timeout", default="1h", show_default=True, type=Seconds(), help="Stop after so long.")
@click.pass_obj
def blobs_migrate(
    invocation: Invocation, *, to: Any, min_size: int | None, dry_run: bool, yes: bool, timeout: float
) -> None:
    """Move content between the object store and the database, while services go on.

    Shows what would move and asks first. Without a terminal, --yes is needed. Exit code 1 if some content stayed.
    """
    from tierstore.cli.blobs import migrate

    least = "" if min_size is None else f" --min-size {min_size}"
    confirmed = Confirmation(yes=yes, again=f"blobs migrate --to {to}{least} --yes")
    failed = [0]

    async def action(store: Store) -> None:
        options = {"to": to, "min_size": min_size, "timeout": timeout}
        failed[0] = await migrate(store, invocation.out, confirmed, dry_run=dry_run, **options)

    invocation.run(action)
    if failed[0]:
        sys.exit(FAILED)


@blobs.command("verify")
@click.option(
    "--timeout", default="1h", show_default=True, type=Seconds(), help="Give each batch of reads at most this time."
)
@click.pass_obj
def blobs_verify(invocation: Invocation, *, timeout: float) -> None:
    """Read all content and replace damaged copies with good ones. Exit code 1 if some content cannot be read."""
    from tierstore.cli.blobs import verify

    whole = [True]

    async def action(store: Store) -> None:
        whole[0] = await verify(store, invocation.out, timeout=timeout)

    invocation.run(action)
    if not whole[0]:
        sys.exit(FAILED)


@cli.command()
@click.option("--limit", default=100, show_default=True, type=click.IntRange(0), help="Load at most this many schemas.")
@click.pass_obj
def warm(invocation: Invocation, limit: int) -> None:
    """Load the most used schemas into the caches."""
    from tierstore.cli.views import warm_caches

    invocation.run(lambda store: warm_caches(store, invocation.out, limit))


@cli.command()
@click.pass_obj
def health(invocation: Invocation) -> None:
    """Check every tier. Exit code 0 if all answer, else 1."""
    from tierstore.cli.views import show_health

    invocation.run(lambda store: show_health(store, invocation.out))


@cli.command()
@click.pass_obj
def stats(invocation: Invocation) -> None:
    """Show counts, sizes and hit ratios."""
    from tierstore.cli.views import show_statistics

    invocation.run(lambda store: show_statistics(store, invocation.out))


@cli.command("load-test")
@click.option("--duration", default="10s", show_default=True, type=Seconds(), help="Run for this time.")
@click.option(
    "--concurrency",
    default=100,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Number of concurrent callers.",
)
@click.option(
    "--writes", default=5, show_default=True, type=click.IntRange(0, 100), help="Percentage of calls that write."
)
@click.pass_obj
def load_test(invocation: Invocation, duration: float, concurrency: int, writes: int) -> None:
    """Read and write for a while, then show rates and latencies for each operation. Writes only subjects that start with `load-test/`."""
    from tierstore.cli.load import LoadTest

    invocation.run(lambda store: LoadTest(store, invocation.out, concurrency, writes / 100).run(duration), makes=True)


cli.add_command(state)
cli.add_command(modules)


def _accept_common(group: click.Group) -> None:
    for command in set(group.commands.values()):
        if isinstance(command, click.Group):
            _accept_common(command)
        else:
            command.params += _common()


_accept_common(cli)
