"""Items in parts that one step may take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def batches(sized: Iterable[tuple[T, int]], most: int, most_size: int) -> Iterator[list[T]]:
    """Items in their order, given with their sizes: at most `most` together, and of a size of `most_size` but for a single one."""
    batch: list[T] = []
    held = 0
    for item, size in sized:
        if batch and (len(batch) == most or held + size > most_size):
            yield batch
            batch, held = [], 0
        batch.append(item)
        held += size
    if batch:
        yield batch


def batched(items: Sequence[T], most: int) -> Iterator[list[T]]:
    """Items in their order, at most `most` together."""
    for start in range(0, len(items), most):
        yield list(items[start : start + most])
