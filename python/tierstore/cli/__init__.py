"""The command line. `main` is the entry point; everything else is loaded only when a command runs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `tierstore`; says how to install the command line where its libraries are missing."""
    try:
        from tierstore.cli.app import cli
    except ModuleNotFoundError as error:
        sys.exit(f"tierstore: the command line needs {error.name}: pip install 'tierstore[cli]'")
    cli(prog_name="tierstore")
