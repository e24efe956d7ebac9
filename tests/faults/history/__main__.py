"""Long histories: `python -m tests.faults.history --operations 1000000 --seed 7 [--setup single] [--json]`.

They are made and checked in pieces, each with a seed of its own, so that a run that is interrupted has judged what it has done, and one
piece can be made again: `--piece 12` begins with it. Every violation is printed with the part of the history that shows it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from random import Random

from tests.faults.history.segment import Outcome, run
from tests.faults.history.setups import SETUPS
from tests.servers.fleet import Fleet

PIECE = 20_000


def main() -> int:
    given = _arguments()
    setups, fleet, made = given.setup or list(SETUPS), Fleet(), []
    piece, began = given.piece, time.monotonic()
    try:
        while sum(outcome.calls for outcome in made) < given.operations:
            made.append(_piece(given, setups[piece % len(setups)], piece, fleet))
            piece += 1
    except KeyboardInterrupt:
        print(f"interrupted in piece {piece}; go on with --piece {piece}", file=sys.stderr)
    finally:
        fleet.close()
    _summary(made, time.monotonic() - began, as_json=given.json)
    return int(any(outcome.count for outcome in made))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.history", description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000, help="how many calls in all (default: 1000000)")
    parser.add_argument("--seed", type=int, help="the same faults and calls again (default: a new one)")
    parser.add_argument("--setup", action="append", choices=list(SETUPS), help="only this one (may be repeated)")
    parser.add_argument("--piece", type=int, default=0, help="the number of the piece to begin with")
    parser.add_argument("--piece-operations", type=int, default=PIECE, help=f"calls in each piece (default: {PIECE})")
    parser.add_argument("--keep", type=Path, help="a folder for the logs; else they go")
    parser.add_argument("--json", action="store_true", help="one JSON object a piece, and one for all")
    given = parser.parse_args()
    given.seed = Random().randrange(10**6) if given.seed is None else given.seed
    return given


def _piece(given: argparse.Namespace, setup: str, piece: int, fleet: Fleet) -> Outcome:
    seed = given.seed * 1_000 + piece
    operations = min(given.piece_operations, given.operations)
    outcome = run(setup, seed, operations, fleet, keep=given.keep and given.keep / f"{piece}-{setup}")
    fleet.restore()
    if given.json:
        print(json.dumps({"piece": piece, **asdict(outcome)}), flush=True)
        return outcome
    print(
        f"piece {piece} {setup} seed {seed}: {outcome.calls} calls, {outcome.changes} changes, {len(outcome.faults)} faults,"
        f" {outcome.seconds:.0f} s, {outcome.count} violations",
        flush=True,
    )
    for violation in outcome.violations:
        print(violation, flush=True)
    return outcome


def _summary(made: list[Outcome], seconds: float, *, as_json: bool) -> None:
    total = {
        "calls": sum(outcome.calls for outcome in made),
        "changes": sum(outcome.changes for outcome in made),
        "faults": sum(len(outcome.faults) for outcome in made),
        "violations": sum(outcome.count for outcome in made),
        "seconds": round(seconds),
    }
    print(json.dumps(total) if as_json else ", ".join(f"{count} {name}" for name, count in total.items()))


if __name__ == "__main__":
    sys.exit(main())
