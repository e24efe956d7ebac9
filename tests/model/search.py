"""All interleavings of some programs, or one of them at random."""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.model.fence_world import AGAIN, BLOCK, END, Notes, Program, World


class Found(NamedTuple):
    """How many ways there are to come to rest, in how many something is stale, and in how many L2 was of use."""

    ends: int
    stale: int
    filled: int
    example: str


def search(programs: list[Program], start: World, *, first: bool = False) -> Found:
    """Depth first over all interleavings; a state that was met before is not looked at again. `first`: until something is stale."""
    seen: set[object] = set()
    ends = stale = filled = 0
    example = ""
    todo = [(start, [{} for _ in programs], (0,) * len(programs), "")]
    while todo and not (first and stale):
        world, notes, places, trace = todo.pop()
        state = (world.state(), tuple(tuple(sorted(note.items())) for note in notes), places)
        if state in seen:
            continue
        seen.add(state)
        steps = list(_steps(programs, world, notes, places, trace))
        todo += steps
        if not steps:
            ends, filled = ends + 1, filled + world.filled()
            if not world.fresh():
                stale += 1
                example = min(example or trace, trace, key=len)
    return Found(ends, stale, filled, example)


def _steps(programs: list[Program], world: World, notes: list[Notes], places: tuple[int, ...], trace: str):
    for which, (program, place) in enumerate(zip(programs, places, strict=True)):
        if place == len(program):
            continue
        after, noted = world.copy(), [dict(note) for note in notes]
        outcome = program[place](after, noted[which])
        if outcome != BLOCK:
            next_place = len(program) if outcome == END else place + (outcome != AGAIN)
            moved = (*places[:which], next_place, *places[which + 1 :])
            yield after, noted, moved, f"{trace} {which}:{program[place].__name__}"


def run_at_random(programs: list[Program], world: World, seed: int) -> str:
    """Run all programs to their ends in one interleaving; its trace."""
    draw, trace = random.Random(seed), f"seed {seed}:"
    notes: list[Notes] = [{} for _ in programs]
    places = [0] * len(programs)
    open_programs = set(range(len(programs)))
    blocked: set[int] = set()
    while choices := sorted(open_programs - blocked):
        which = draw.choice(choices)
        step = programs[which][places[which]]
        outcome = step(world, notes[which])
        if outcome == BLOCK:
            blocked.add(which)
            continue
        blocked.clear()
        trace += f" {which}:{step.__name__}"
        places[which] += outcome != AGAIN
        if outcome == END or places[which] == len(programs[which]):
            open_programs.discard(which)
    return trace
