"""What it costs, and what it gives, to let go of the interpreter's lock while a record is checked. `make bench BENCH=interpreter_lock`

The same check twice: `held` keeps the lock (a bulk field is read), `released` lets go of it (`codec.decode_current`, from 4 MiB on).
Beside it another thread runs Python code, or none does. `other`: how much that thread got done meanwhile, in milliseconds alone.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Self

from tierstore import codec
from tierstore.records import Record

MIB = 1024 * 1024
SIZES_MIB = (1, 2, 4, 8, 16, 64)
ROUNDS = 41


class Blob(Record, kind=60910):
    body: memoryview


class Neighbour:
    """A thread that counts as fast as Python does, and never gives up the lock of its own accord."""

    def __enter__(self) -> Self:
        self.count, self.ends = 0, False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        while not self.ends:
            self.count += 1

    def __exit__(self, *_: object) -> None:
        self.ends = True
        self._thread.join()


def median_us(check: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        check()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def counts_per_ms() -> float:
    with Neighbour() as neighbour:
        time.sleep(0.2)
        return neighbour.count / 200


def beside(check: Callable[[], object], speed: float) -> tuple[float, float]:
    """Microseconds of a check, and milliseconds of the neighbour's work a check."""
    with Neighbour() as neighbour:
        before = neighbour.count
        took = median_us(check)
        return took, (neighbour.count - before) / speed / ROUNDS


def main() -> None:
    speed = counts_per_ms()
    print("| MiB | held, alone | released, alone | held, beside | released, beside | other, held | other, released |")
    print("| --- |" + " --- |" * 6)
    for size in SIZES_MIB:
        buffer = codec.encode(Blob(memoryview(bytes(size * MIB))))
        held = lambda buffer=buffer: codec.decode(buffer).body  # type: ignore[attr-defined]  # noqa: E731
        released = lambda buffer=buffer: codec.decode_current(buffer, Blob)  # noqa: E731
        alone = [f"{median_us(check):,.0f} us" for check in (held, released)]
        pairs = [beside(check, speed) for check in (held, released)]
        cells = [*alone, *(f"{took:,.0f} us" for took, _ in pairs), *(f"{done:.2f} ms" for _, done in pairs)]
        print(f"| {size} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
