"""What every command has: where the store is, how to print, and how to end."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NoReturn

import click

from tierstore.assembly import DATABASE_FILE
from tierstore.cli.output import Output, printable
from tierstore.config import Config, environment_names_a_store, redacted
from tierstore.errors import ConfigError, NotFoundError, StorageError
from tierstore.store import Store, as_config
from tierstore.store import open as open_store

FAILED = 1
INTERRUPTED = 130


class Invocation:
    """What every command gets: where the store is, and how to print."""

    def __init__(self) -> None:
        self.path: str | None = None
        self.file: Path | None = None
        self.read_only = False
        self.out = Output(as_json=False)
        self.interrupted = "interrupted; finished work is kept, and the same command continues from there"

    def config(self) -> Config:
        """From --path, --config or the environment, in this order. Never a store in memory, which no other command would find."""
        config = replace(self._named().resolved(), on_unavailable="raise")
        return replace(config, read_only=True) if self.read_only else config

    def _named(self) -> Config:
        if self.path is not None:
            return as_config(self.path)
        if self.file is not None:
            return Config.from_toml(self.file)
        if not environment_names_a_store():
            raise ConfigError(
                "no store is named; give --path FOLDER or --config FILE, or set TIERSTORE_PATH or DATABASE_URL"
            )
        return Config.from_env()

    @property
    def names_a_store(self) -> bool:
        """Whether the command line or the environment says where the store is."""
        return self.path is not None or self.file is not None or environment_names_a_store()

    def run(self, action: Callable[[Store], Awaitable[None]], *, makes: bool = False) -> None:
        """Open the store, do `action`, close, print; an error becomes one line and exit code 1.

        Only a command that `makes` something applies migrations and creates what is missing; the others only read.
        """

        async def invocation() -> None:
            async with open_store(self.config() if makes else self._reading()) as store:
                await action(store)

        self.guard(invocation)

    def _reading(self) -> Config:
        config = self.existing()
        migrate: Literal["check", "never"] = "never" if config.migrate == "never" else "check"
        return replace(config, migrate=migrate, cache=replace(config.cache, warm_on_start=False))

    def existing(self) -> Config:
        """The store, which must be there: a folder without one is a mistake in its name. NotFoundError."""
        config = self.config()
        if config.path is not None and not Path(config.path, DATABASE_FILE).exists():
            raise NotFoundError(
                f"there is no store in {config.path}; check the path, or create a store with `import` or `migrate up`"
            )
        return config

    def guard(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` and print what it collected. A StorageError becomes one line."""
        try:
            asyncio.run(_as_coroutine(work))
        except StorageError as error:
            fail(str(error))
        except KeyboardInterrupt:
            fail(self.interrupted, INTERRUPTED)
        self.out.finish()


async def _as_coroutine(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def fail(message: str, code: int = FAILED) -> NoReturn:
    """One line on standard error, without secrets, and an exit code."""
    click.echo(f"tierstore: {printable(' '.join(redacted(message).split()))}", err=True)
    sys.exit(code)


class Seconds(click.ParamType[float]):
    """A duration: `60s`, `2m`, `1h` or a plain number of seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        factor = {"s": 1, "m": 60, "h": 3600}.get(value[-1:], 0)
        try:
            seconds = float(value[:-1]) * factor if factor else float(value)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            self.fail(
                f"{value!r} is not a duration; expected a number of seconds, or for example 60s, 2m, 1h", param, ctx
            )
        return seconds
