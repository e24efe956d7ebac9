"""Writers that are killed anywhere, while a sweep runs without pause: no live content goes, and what they left goes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import tierstore
from tierstore.store import parts_of

KILLS = 6
GRACE_S = 1.0
WRITER = """
import itertools, pathlib, random, sys, tierstore
chance = random.Random(int(sys.argv[2]))
with tierstore.blocking.open(sys.argv[1]) as store:
    for turn in itertools.count():
        content = b'"' + b"%08d" % chance.randrange(30) * chance.choice((10_000, 150_000)) + b'"'
        made = store.schemas.register(f"s{sys.argv[2]}", f"{turn}.0.0", content, timeout=30)
        if turn % 3:
            store.schemas.delete(made.id)
            store.schemas.purge(made.id)
            pathlib.Path(sys.argv[3]).touch()
"""


class Writer:
    """Is killed some time after it has written, and deleted."""

    def __init__(self, folder: Path, seed: int, lives_s: float) -> None:
        self._told = folder.with_name(f"writer {seed} is under way")
        command = [sys.executable, "-c", WRITER, str(folder), str(seed), str(self._told)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        self._lives_s = lives_s
        self._kill_at: float | None = None

    def is_due(self) -> bool:
        assert self._process.poll() is None, self._process.communicate()
        if self._kill_at is None and self._told.exists():
            self._kill_at = time.monotonic() + self._lives_s
        return self._kill_at is not None and time.monotonic() > self._kill_at

    def kill(self) -> None:
        self._process.kill()
        said = self._process.communicate()
        assert self._process.returncode == -signal.SIGKILL, said


def test_no_live_content_is_swept_while_writers_are_killed(tmp_path: Path):
    folder, chance = tmp_path / "store", random.Random(7)
    with tierstore.blocking.open(folder) as store:
        writers = [Writer(folder, seed, chance.uniform(0.5, 2.5)) for seed in range(2)]
        removed = killed = 0
        try:
            while killed < KILLS:
                removed += store.blobs.sweep(dry_run=False, grace=GRACE_S, max_share=1, timeout=60).removed
                for each in [each for each in writers if each.is_due()]:
                    writers.remove(each)
                    each.kill()
                    killed += 1
                    writers.append(Writer(folder, killed + 1, chance.uniform(0.5, 2.5)))
        finally:
            for each in writers:
                each.kill()
        parts_of(store._inner).blobs._cache.clear()
        report = store.blobs.verify(timeout=60)
        assert (report.missing, report.damaged) == ((), ())
        assert report.checked > 0
        time.sleep(GRACE_S + 0.1)
        store.blobs.sweep(dry_run=False, grace=GRACE_S, max_share=1, timeout=60)
        time.sleep(GRACE_S + 0.1)
        removed += store.blobs.sweep(dry_run=False, grace=GRACE_S, max_share=1, timeout=60).removed
        left = store.blobs.sweep(grace=GRACE_S)
        assert removed > 0
        assert (left.unused, left.orphans) == (0, 0)
