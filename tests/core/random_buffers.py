"""Random buffers, none of which is a record: 200,000 in CI, as many as one likes by command.

.venv/bin/python -m tests.core.random_buffers 10_000_000
"""

from __future__ import annotations

import random
import struct
import sys

from tests.core.golden_records import Bundle, Everything, NoteThree
from tierstore import codec
from tierstore.errors import CorruptError

CLASSES = (NoteThree, Everything, Bundle)
MAX_BYTES = 96
HEAD_BYTES = 32
SEED = 7


def accepted(count: int, seed: int = SEED) -> list[bytes]:
    """Those of `count` buffers that were taken for a record: half of them have the kind, format and lengths of one."""
    source, found = random.Random(seed), []
    for number in range(count):
        size = source.randrange(MAX_BYTES)
        rubbish = source.randbytes(size)
        if number % 2 and size >= HEAD_BYTES:
            cls, body = CLASSES[number % len(CLASSES)], size - HEAD_BYTES
            plain = struct.pack("<HHHHII", cls.__kind__, cls.__revision__, 1, 1, source.choice((0, body)), body)
            rubbish = plain + rubbish[len(plain) :]
        try:
            codec.decode(rubbish)
        except CorruptError:
            continue
        found.append(rubbish)
    return found


def main() -> None:
    count = int(sys.argv[1])
    found = accepted(count)
    print(f"{count:,} random buffers, {len(found)} accepted")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
