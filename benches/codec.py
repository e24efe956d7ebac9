"""C.1 to C.8: the codec beside msgspec (plain, and tuned with xxh3), ormsgpack, orjson and pickle 5. `make bench BENCH=codec`

Each row alternates its contenders for ROUNDS rounds; a round's figure is the best of its repeats, a row's the median of its rounds, less
the cost of an empty call. `--json` prints the rows as JSON; `--write` keeps the tables and the plot in `results/`, and puts the tables
into docs/codec.md.
"""

from __future__ import annotations

import gc
import json
import pickle
import re
import statistics
import subprocess
import sys
import timeit
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
import orjson
import ormsgpack

from benches import _machine, _plots
from benches._codec_data import (
    ENCODER,
    FILES_DECODER,
    KEY,
    NOW,
    PLAIN_DECODER,
    TUNED_DECODER,
    OurFiles,
    OurPage,
    Ours,
    OurState,
    Plain,
    Tuned,
    TunedFiles,
    case,
    checked,
    ours_of,
    page,
    plain_values,
    summed,
    tuned_of,
)
from benches._paired import Row, table
from tierstore import VectorClock, codec

ROUNDS = 7
REPEATS = 5
TARGET_S = 0.01
KEPT_RECORDS = 20_000
PAGES = 64
SIZES = (300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
RIVALS = ("msgspec", "xxhash", "ormsgpack", "orjson")
DOCS = Path(__file__).parents[1] / "docs" / "codec.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
Work = Callable[[], object]


def _round(work: Work, number: int) -> float:
    return min(timeit.repeat(work, number=number, repeat=REPEATS)) / number


def measure(contenders: dict[str, Work]) -> dict[str, float]:
    """Nanoseconds a call."""
    contenders = {**contenders, "": lambda: None}
    numbers = {name: max(1, int(TARGET_S / max(_round(work, 3), 1e-7))) for name, work in contenders.items()}
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, work in contenders.items():
            found[name].append(_round(work, numbers[name]) * 1e9)
    nothing = statistics.median(found.pop(""))
    return {name: statistics.median(times) - nothing for name, times in found.items()}


def ratio(goal: str, what: str, contenders: dict[str, Work], limits: dict[str, float | None]) -> list[Row]:
    """Ours against each rival that is named; one with a limit is a goal."""
    times = measure(contenders)
    ours = times["ours"]
    return [
        Row(
            goal,
            what,
            f"{ours:,.0f} ns",
            f"{name} {times[name]:,.0f} ns",
            ours / times[name],
            "" if limit is None else f"≤ {limit:g} ×",
            None if limit is None else ours / times[name] <= limit,
        )
        for name, limit in limits.items()
    ]


def three(record: Any) -> tuple[Any, ...]:
    return record.id, record.version, record.state


def read_three() -> list[Row]:
    one = case(1_000)
    contenders = {
        "ours": lambda: three(codec.decode(one.ours_bytes, key=KEY)),
        "struct": lambda: three(PLAIN_DECODER.decode(one.plain_bytes)),
        "tuned + xxh3": lambda: three(TUNED_DECODER.decode(checked(one.tuned_bytes))),
    }
    return ratio("C.1", "decode 1 KB, read 3 fields, checked", contenders, {"struct": 0.10, "tuned + xxh3": 0.40})


def large() -> list[Row]:
    small, big = case(1_000), case(100_000)
    raw = {**big.untyped, "content": big.ours.content}
    packed, pickled, text = ormsgpack.packb(raw), pickle.dumps(raw, 5), orjson.dumps(big.untyped)
    contenders = {
        "ours": lambda: codec.decode(big.ours_bytes, key=KEY),
        "ours at 1 KB": lambda: codec.decode(small.ours_bytes, key=KEY),
        "ormsgpack": lambda: ormsgpack.unpackb(packed),
        "pickle 5": lambda: pickle.loads(pickled),
        "orjson": lambda: orjson.loads(text),
    }
    limits = {"ours at 1 KB": 1.3, "ormsgpack": 0.15, "pickle 5": 0.06, "orjson": 0.15}
    return ratio("C.2", "decode at 100 KB", contenders, limits)


def many(unseen: bool) -> list[Row]:
    """Pages in turn. Where no short text was seen before, none is found among those that are kept: the worst case, without a goal."""
    pages = [page(number, unseen) for number in range(PAGES if unseen else 1)]
    plains = cycle([ENCODER.encode([Plain(**row) for row in rows]) for rows in pages])
    tuneds = cycle([summed(ENCODER.encode([tuned_of(row) for row in rows])) for rows in pages])
    ours = cycle([codec.encode(OurPage([ours_of(row) for row in rows]), key=KEY) for rows in pages])
    plain_list, tuned_list = msgspec.msgpack.Decoder(list[Plain]), msgspec.msgpack.Decoder(list[Tuned])
    contenders = {
        "ours": lambda: [three(record) for record in codec.decode(next(ours), key=KEY).items],  # type: ignore[attr-defined]
        "struct": lambda: [three(record) for record in plain_list.decode(next(plains))],
        "tuned + xxh3": lambda: [three(record) for record in tuned_list.decode(checked(next(tuneds)))],
    }
    if unseen:
        return ratio("C.3", "the same, of texts not seen before", contenders, {"tuned + xxh3": None})
    return ratio("C.3", "100 records, 3 fields each", contenders, {"struct": 0.12, "tuned + xxh3": 0.40})


def kept_memory() -> list[Row]:
    buffers = [codec.encode(case(1_000).ours, key=b"%d" % number) for number in range(KEPT_RECORDS)]
    kept: list[Any] = [None] * KEPT_RECORDS
    gc.collect()
    tracemalloc.start()
    for number, buffer in enumerate(buffers):
        kept[number] = codec.decode(buffer, key=b"%d" % number)
    unread = tracemalloc.get_traced_memory()[0] / KEPT_RECORDS
    values = [three(record) for record in kept]
    own = (
        sum(sys.getsizeof(value) for row in values for value in row)
        + sum(sys.getsizeof(row) for row in values)
        + sys.getsizeof(values)
    )
    read = (tracemalloc.get_traced_memory()[0] - own) / KEPT_RECORDS
    tracemalloc.stop()
    row = Row("C.4", "kept memory beyond its buffer", f"{unread:.0f} B", "", None, "≤ 120 B", unread <= 120)
    return [
        row,
        Row("C.4", "the same after 3 fields were read, beyond the values", f"{read:.0f} B", "", None, "", None),
    ]


def one_file() -> list[Row]:
    files = {f"proto/orders/v1/file_{number}.proto": b"m" * 2_048 for number in range(50)}
    ours = codec.encode(OurFiles("orders", files), key=KEY)
    tuned = summed(ENCODER.encode(TunedFiles("orders", files)))
    wanted = "proto/orders/v1/file_25.proto"
    contenders = {
        "ours": lambda: codec.decode(ours, key=KEY).files[wanted],  # type: ignore[attr-defined]
        "tuned + xxh3": lambda: FILES_DECODER.decode(checked(tuned)).files[wanted],
    }
    return ratio("C.5", "one file of 50", contenders, {"tuned + xxh3": 0.15})


def loop_compare(one: bytes, other: bytes) -> tuple[bool, bool]:
    left, right = msgspec.msgpack.decode(one), msgspec.msgpack.decode(other)
    less = any(left.get(name, 0) < count for name, count in right.items())
    return less, any(count > right.get(name, 0) for name, count in left.items())


def loop_merge(one: bytes, other: bytes) -> bytes:
    left, right = msgspec.msgpack.decode(one), msgspec.msgpack.decode(other)
    for name, count in right.items():
        if left.get(name, 0) < count:
            left[name] = count
    return ENCODER.encode(left)


def clocks() -> list[Row]:
    left = {f"client-{number:04}": number * 7 for number in range(100)}
    right = {name: count + 1 for name, count in left.items()}
    ours, others = VectorClock(left), VectorClock(right)
    packed = ENCODER.encode(left), ENCODER.encode(right)
    compare = {"ours": lambda: ours.compare(others), "msgspec and a loop": lambda: loop_compare(*packed)}
    merge = {"ours": lambda: bytes(ours.merge(others)), "msgspec and a loop": lambda: loop_merge(*packed)}
    limits = {"msgspec and a loop": 0.10}
    return ratio("C.6", "compare two clocks of 100", compare, limits) + ratio(
        "C.6", "merge two clocks of 100", merge, limits
    )


def no_regressions() -> list[Row]:
    one = case(1_000)
    names = Ours.__match_args__
    state = OurState(42, NOW, "etag-1")
    packed = msgspec.msgpack.encode(one.untyped)
    encode = {
        "ours": lambda: codec.encode(one.ours, key=KEY),
        "struct + xxh3": lambda: summed(ENCODER.encode(one.plain)),
    }
    encode["tuned + xxh3"] = lambda: summed(ENCODER.encode(one.tuned))

    def every(record: Any) -> list[Any]:
        return [getattr(record, name) for name in names]

    fields = {
        "ours": lambda: every(codec.decode(one.ours_bytes, key=KEY)),
        "struct": lambda: every(PLAIN_DECODER.decode(one.plain_bytes)),
    }
    unpack = {"ours": lambda: codec.msgpack_decode(packed), "msgspec": lambda: msgspec.msgpack.decode(packed)}
    pack = {"ours": lambda: codec.msgpack_encode(one.untyped), "msgspec": lambda: msgspec.msgpack.encode(one.untyped)}
    unpack["ormsgpack"] = lambda: ormsgpack.unpackb(packed)
    pack["ormsgpack"] = lambda: ormsgpack.packb(one.untyped)
    received = codec.decode(one.ours_bytes, key=KEY)
    back = measure({"ours": lambda: codec.encode(received, key=KEY)})["ours"]
    small = measure({"ours": lambda: codec.encode(state, key=KEY)})["ours"]
    return [
        *ratio("C.7", "encode 1 KB", encode, {"struct + xxh3": 1.25, "tuned + xxh3": 1.25}),
        *ratio("C.7", "all fields", fields, {"struct": 1.25}),
        *ratio("C.7", "untyped MessagePack, decode", unpack, {"msgspec": 1.2, "ormsgpack": 1.2}),
        *ratio("C.7", "untyped MessagePack, encode", pack, {"msgspec": 1.2, "ormsgpack": 1.2}),
        Row("C.7", "encode a small state value", f"{small:,.0f} ns", "", None, "", None),
        Row("C.8", "unchanged write-back", f"{back:.0f} ns", "", None, "≤ 60 ns", back <= 60),
    ]


def other_values() -> list[Row]:
    """C.7 for what is no record, each way beside msgspec."""
    rows = []
    for what, value in plain_values().items():
        packed = msgspec.msgpack.encode(value)
        unpack = {
            "ours": partial(codec.msgpack_decode, packed),
            "msgspec": partial(msgspec.msgpack.decode, packed),
        }
        pack = {"ours": partial(codec.msgpack_encode, value), "msgspec": partial(msgspec.msgpack.encode, value)}
        rows += ratio("C.7", f"MessagePack, {what}, decode", unpack, {"msgspec": 1.2})
        rows += ratio("C.7", f"MessagePack, {what}, encode", pack, {"msgspec": 1.2})
    return rows


def forms(size: int) -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    """One record in each form, and how it is read. Ours and the tuned form hold the content as bytes, the others as values."""
    one = case(size)
    return {
        "tierstore": (one.ours_bytes, lambda buffer: codec.decode(buffer, key=KEY)),
        "tuned + xxh3": (one.tuned_bytes, lambda buffer: TUNED_DECODER.decode(checked(buffer))),
        "struct": (one.plain_bytes, PLAIN_DECODER.decode),
        "ormsgpack": (ormsgpack.packb(one.untyped), ormsgpack.unpackb),
        "orjson": (orjson.dumps(one.untyped), orjson.loads),
        "pickle 5": (pickle.dumps(one.untyped, 5), pickle.loads),
    }


def of_forms(title: str, cells: dict[int, dict[str, float]]) -> str:
    """A table with a line a size and a column a form."""
    lines = [[title, *next(iter(cells.values()))], ["---"] * (len(next(iter(cells.values()))) + 1)]
    lines += [[f"{size:,} B", *(f"{value:,.0f}" for value in row.values())] for size, row in cells.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sizes() -> str:
    """Bytes of one record in each form."""
    chosen = (1_000, 10_000, 100_000)
    return of_forms(
        "bytes", {size: {name: len(buffer) for name, (buffer, _) in forms(size).items()} for size in chosen}
    )


def by_size() -> dict[int, dict[str, float]]:
    """Nanoseconds to decode each form, checked where the form has a sum."""
    found = {}
    for size in SIZES:
        works = {name: partial(read, buffer) for name, (buffer, read) in forms(size).items()}
        found[size] = measure(works)
    return found


def bombs() -> str:
    """What becomes of a process that decodes a million arrays in one another on a thread with 64 KiB of stack."""
    program = (
        "import threading; from {module} import {name} as decode; threading.stack_size(65536); "
        "t = threading.Thread(target=lambda: decode(b'\\x91' * 1_000_000)); t.start(); t.join()"
    )
    decoders = {"tierstore": ("tierstore.codec", "msgpack_decode"), "msgspec": ("msgspec.msgpack", "decode")}
    decoders["ormsgpack"] = ("ormsgpack", "unpackb")
    lines = ["| depth bomb, 64 KiB of stack | the process |", "| --- | --- |"]
    for rival, (module, name) in decoders.items():
        command = [sys.executable, "-c", program.format(module=module, name=name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        end = f"ended by signal {-done.returncode}" if done.returncode < 0 else "lives"
        error = done.stderr.strip().rpartition("\n")[2].partition(":")[0]
        lines.append(f"| {rival} | {end}{f', {error}' if error else ''} |")
    return "\n".join(lines)


def write(tables: str, times: dict[int, dict[str, float]]) -> None:
    machine = _machine.header(RIVALS)
    _machine.write("codec.md", f"```\n{machine}\n```\n\n{tables}\n")
    lines = {name: [row[name] for row in times.values()] for name in next(iter(times.values()))}
    _plots.times("codec_by_size.svg", "decode, by size", list(times), lines, RIVALS)
    shown = f"{BEGIN}\n{tables}\n\n![decode time against size](../benches/results/codec_by_size.svg)\n{END}"
    DOCS.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: shown, DOCS.read_text(), flags=re.DOTALL))


def main() -> None:
    rows = [
        *read_three(),
        *large(),
        *many(unseen=False),
        *many(unseen=True),
        *kept_memory(),
        *one_file(),
        *clocks(),
        *no_regressions(),
        *other_values(),
    ]
    if "--json" in sys.argv:
        print(json.dumps([row.__dict__ for row in rows], indent=1))
        return
    times = by_size()
    tables = "\n\n".join((table(rows), sizes(), of_forms("ns to decode", times), bombs()))
    print(tables)
    if "--write" in sys.argv:
        write(tables, times)


if __name__ == "__main__":
    main()
