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

LOOP_S = 12.0
GRACE_S = 1.0
WRITER = """
import itertools, random, sys, tierstore
chance = random.Random(int(sys.argv[2]))
with tierstore.blocking.open(sys.argv[1]) as store:
    for turn in itertools.count():
        content = b'"' + b"%08d" % chance.randrange(30) * chance.choice((10_000, 150_000)) + b'"'
        made = store.schemas.register(f"s{sys.argv[2]}", f"{turn}.0.0", content, timeout=30)
        if turn % 3:
            store.schemas.delete(made.id)
            store.schemas.purge(made.id)
"""


def writer(folder: Path, seed: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(seed)], stderr=subprocess.PIPE)


def test_no_live_content_is_swept_while_writers_are_killed(tmp_path: Path):
    folder, chance = tmp_path / "store", random.Random(7)
    with tierstore.blocking.open(folder) as store:
        seeds = iter(range(1000))
        writers = [writer(folder, next(seeds)) for _ in range(2)]
        kill_at = time.monotonic() + 3
        removed, until = 0, time.monotonic() + LOOP_S
        try:
            while time.monotonic() < until:
                removed += store.blobs.sweep(dry_run=False, grace=GRACE_S, max_share=1, timeout=60).removed
                if time.monotonic() > kill_at:
                    kill_at = time.monotonic() + chance.uniform(1, 2)
                    victim = writers.pop(0)
                    victim.kill()
                    said = victim.communicate()
                    assert victim.returncode == -signal.SIGKILL, said
                    writers.append(writer(folder, next(seeds)))
        finally:
            for each in writers:
                each.kill()
                each.communicate()
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
