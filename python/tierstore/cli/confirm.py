"""The question before a command destroys something."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click

from tierstore.cli.output import printable

REFUSED, DECLINED = 2, 1


@dataclass(frozen=True, slots=True)
class Confirmation:
    """`yes`: the caller agreed on the command line. `again`: the command that does."""

    yes: bool
    again: str

    def ask(self, what: str, items: Sequence[str]) -> None:
        """Show on standard error what would go, and ask; ends the program unless the answer is yes."""
        if self.yes:
            return
        click.echo(f"{what}:", err=True)
        for item in items:
            click.echo(f"  {printable(item)}", err=True)
        if not sys.stdin.isatty():
            click.echo(f"tierstore: nothing was changed. To go on, run: tierstore {self.again}", err=True)
            sys.exit(REFUSED)
        if not click.confirm("Continue?", err=True):
            click.echo("tierstore: nothing was changed", err=True)
            sys.exit(DECLINED)
