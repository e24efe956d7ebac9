"""A user of records: fields are what they were declared as, and nothing can be set."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Literal, assert_type

from tierstore import codec, exposed
from tierstore.records import Record, field, removed


class Part(Record):
    name: str
    size: codec.u32 = 0


class Seen(Record, kind=903):
    id: str
    mood: Literal["good", "bad"]
    secret: str = field(default="", exposed=False)

    @property
    @exposed
    def title(self) -> str:
        return self.id.title()


class SeenNow(Seen, kind=903, replaces=Seen):
    more: int = 0


def use_seen(seen: SeenNow) -> None:
    assert_type(seen.title, str)
    assert_type(SeenNow("a", "good", "s", 5).mood, Literal["good", "bad"])
    Seen("a", "glad")  # error: arg-type


class Whole(Record, kind=901, revision=2, oldest_reader=1):
    id: str
    at: datetime
    parts: Sequence[Part]
    files: Mapping[str, bytes]
    gone: ClassVar = removed(str, default="")
    owner: str | None = field(revision=2, default=None)


def use(at: datetime, buffer: bytes) -> None:
    whole = Whole("a", at, [Part("p")], files={})
    assert_type(whole.parts[0].size, int)
    assert_type(whole.files["x"], bytes)
    assert_type(whole.owner, str | None)
    assert_type(whole.replace(id="b"), Whole)
    assert_type(codec.decode_current(buffer, Whole, key=b"k"), Whole)
    assert_type(Whole.from_bytes(buffer), Whole)
    assert_type(codec.decode(buffer), Record)
    assert_type(codec.bincode_decode(buffer, int), int)
    Whole("a", at)  # error: call-arg
    Part(5)  # error: arg-type
    whole.id = "c"  # error: misc
