"""One history: processes are started, faults happen by a seeded plan, all is healed, every key is looked at, and the checker judges."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import tierstore
from tests.faults.history.calls import TAG
from tests.faults.history.checker import Checker
from tests.faults.history.player import Part, config_of
from tests.faults.history.records import Fault, read_calls
from tests.faults.history.report import explain
from tests.faults.history.setups import LONG_S, PROCESSES, SHORT_S, FaultOf, Setup
from tests.faults.history.truth import read_commits
from tests.servers.fleet import Fleet
from tierstore.tiers.freshness import HORIZON_S

ROOT = Path(__file__).parents[3]
FACES = ("async", "blocking", "async")
TASKS = {"async": 6, "blocking": 4}
SUBJECTS = 10
PAUSE_S = 0.04
PLAY_S = 7.0
START_S, QUIET_S, LOOK_S = 60.0, 60.0, 120.0
SETTLE_S = HORIZON_S + 0.5
TICK_S = 0.05
MOST_EXPLAINED = 20


@dataclass
class Outcome:
    """What came of one history. `count` violations, of which `violations` has the first, with the part of the history that shows each."""

    setup: str
    seed: int
    count: int = 0
    calls: int = 0
    changes: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list, repr=False)
    violations: list[str] = field(default_factory=list, repr=False)


class Process:
    """One player, started."""

    def __init__(self, part: Part) -> None:
        self.name = part.name
        self.count = 0
        self._words: queue.Queue[str] = queue.Queue()
        self._running = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.history.player", part.to_json()],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._errors: list[str] = []
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read(self) -> None:
        assert self._running.stdout is not None
        for line in self._running.stdout:
            word = line.strip()
            if word.isdigit():
                self.count = int(word)
            else:
                self._words.put(word)
        self._words.put("ended")

    def _read_errors(self) -> None:
        assert self._running.stderr is not None
        for line in self._running.stderr:
            self._errors = [*self._errors[-30:], line]

    def expect(self, wanted: str, seconds: float) -> None:
        """RuntimeError with what it wrote, if it does not say that word in time."""
        with contextlib.suppress(queue.Empty):
            word = self._words.get(timeout=seconds)
            if word == wanted:
                return
            raise RuntimeError(f"{self.name} said {word!r} where {wanted!r} was expected:\n{''.join(self._errors)}")
        os.kill(self._running.pid, signal.SIGABRT)  # faulthandler writes where its threads stand
        self._running.wait(START_S)
        raise RuntimeError(f"{self.name} did not say {wanted!r} within {seconds:.0f} s:\n{''.join(self._errors)}")

    def order(self, word: str) -> None:
        assert self._running.stdin is not None
        self._running.stdin.write(word + "\n")
        self._running.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._running.pid, number)

    def kill(self) -> None:
        self._running.kill()
        self._running.wait()
        for pipe in (self._running.stdin, self._running.stdout, self._running.stderr):
            with contextlib.suppress(OSError, ValueError):
                pipe.close()  # type: ignore[union-attr]


class Crew:
    """The processes that play. `faults`: what may happen to one of them."""

    def __init__(self, setup: Setup, seed: int, folder: Path, subjects: list[str], ids: list[str]) -> None:
        self._setup = setup
        self._seed = seed
        self._folder = folder
        self._subjects, self._ids = subjects, ids
        self.playing: list[Process] = []
        self._started = 0
        self._gone = 0
        for _ in range(PROCESSES):
            self.playing.append(self._start())
        for process in self.playing:
            process.expect("ready", START_S)

    @property
    def count(self) -> int:
        return self._gone + sum(process.count for process in self.playing)

    def _start(self, *, at: int | None = None, tasks: int | None = None) -> Process:
        number = self._started
        self._started += 1
        at = number if at is None else at
        face = FACES[at % len(FACES)]
        part = Part(
            name=f"p{number}",
            face=face,
            seed=self._seed,
            tasks=TASKS[face] if tasks is None else tasks,
            pause_s=PAUSE_S,
            folder=str(self._folder),
            environment=self._setup.environment(at),
            subjects=self._subjects,
            ids=self._ids,
        )
        return Process(part)

    def faults(self) -> dict[str, FaultOf]:
        return {"process paused": self.paused, "process killed": self.killed}

    @contextmanager
    def paused(self, random: Random) -> Iterator[None]:
        process = random.choice(self.playing)
        process.signal(signal.SIGSTOP)
        yield
        process.signal(signal.SIGCONT)

    @contextmanager
    def killed(self, random: Random) -> Iterator[None]:
        at = random.randrange(len(self.playing))
        self._gone += self.playing[at].count
        self.playing[at].kill()
        self.playing[at] = self._start(at=at)
        self.playing[at].expect("ready", START_S)
        yield

    def rest(self) -> None:
        """All calls end; then every key is looked at, by each process and by one that has nothing in its own cache."""
        self._order("rest", "quiet", QUIET_S)
        time.sleep(SETTLE_S)
        fresh = self._start(at=0, tasks=0)
        self.playing.append(fresh)
        fresh.expect("ready", START_S)
        fresh.order("rest")
        fresh.expect("quiet", QUIET_S)
        self._order("look", "looked", LOOK_S)
        for process in self.playing:
            process.order("end")

    def _order(self, word: str, answer: str, seconds: float) -> None:
        for process in self.playing:
            process.order(word)
        for process in self.playing:
            process.expect(answer, seconds)

    def close(self) -> None:
        for process in self.playing:
            process.kill()


class Lane(threading.Thread):
    """One fault after another, for as long and as often as the seed says, until `stop`."""

    def __init__(self, name: str, faults: dict[str, FaultOf], seed: int) -> None:
        super().__init__(daemon=True)
        self._faults = faults
        self._random = Random(f"{seed} {name}")
        self._stopped = threading.Event()
        self.done: list[Fault] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stopped.wait(self._random.uniform(0.1, 1.5)):
                self._one()
        except BaseException as error:
            self.error = error

    def _one(self) -> None:
        name = self._random.choice(sorted(self._faults))
        began = time.monotonic()
        with self._faults[name](self._random):
            self._stopped.wait(self._random.uniform(SHORT_S, LONG_S))
        self.done.append(Fault(name, began, time.monotonic(), database=name.startswith("database")))

    def stop(self) -> None:
        self._stopped.set()
        self.join()
        if self.error is not None:
            raise self.error


def run(name: str, seed: int, operations: int, fleet: Fleet, *, keep: Path | None = None) -> Outcome:
    """A history of at least so many calls. `keep`: where its log is left; else it goes."""
    began = time.monotonic()
    outcome = Outcome(name, seed)
    with tempfile.TemporaryDirectory() as temporary, contextlib.closing(Setup(name, fleet)) as setup:
        folder = keep or Path(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        faults = _play(setup, seed, operations, folder, outcome)
        commits = read_commits(setup.database.truth_url())
        calls = read_calls(folder)
    checker = Checker(calls, commits, faults)
    found = checker.check()
    outcome.count += len(found)
    outcome.violations += [explain(violation, checker, faults) for violation in found[:MOST_EXPLAINED]]
    outcome.calls, outcome.changes = len(checker.calls), len(commits)
    outcome.faults = [str(fault) for fault in faults]
    outcome.seconds = time.monotonic() - began
    return outcome


def _play(setup: Setup, seed: int, operations: int, folder: Path, outcome: Outcome) -> list[Fault]:
    subjects, ids = _seeded(setup)
    with contextlib.closing(Crew(setup, seed, folder, subjects, ids)) as crew:
        lanes = [Lane(name, faults, seed) for name, faults in (*setup.lanes.items(), ("process", crew.faults()))]
        for lane in lanes:
            lane.start()
        ends = time.monotonic() + PLAY_S
        while crew.count < operations or time.monotonic() < ends:
            time.sleep(TICK_S)
        for lane in lanes:
            lane.stop()
        setup.heal()
        try:
            crew.rest()
        except RuntimeError as error:
            outcome.count += 1
            outcome.violations.append(f"calls: {error}")
    return sorted((fault for lane in lanes for fault in lane.done), key=lambda fault: fault.began)


def _seeded(setup: Setup) -> tuple[list[str], list[str]]:
    """The subjects, and the ids of two versions of each."""
    subjects = [f"history.{chr(ord('a') + number)}" for number in range(SUBJECTS)]
    with tierstore.blocking.open(config_of(setup.environment(0), "seed")) as store:
        setup.watch()
        items = [
            {"subject": subject, "version": version, "content": b"{}", "tags": [TAG]}
            for subject in subjects
            for version in ("1.0.0", "1.1.0")
        ]
        return subjects, [schema.id for schema in store.schemas.register_many(items)]
