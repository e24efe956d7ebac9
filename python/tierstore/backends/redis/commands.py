"""Commands in wire form, and the Lua scripts: sent by their digest, in full to a server that does not know them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple, Protocol

from tierstore.backends.redis.wire import pack


class Command(Protocol):
    """What a node can be asked. `key` decides the node, in cluster mode."""

    @property
    def key(self) -> str: ...
    def packed(self, epoch: bytes) -> bytes: ...
    def whole(self, epoch: bytes) -> bytes:
        """For a server that answered NOSCRIPT."""
        ...


class Plain(NamedTuple):
    """A command of Redis itself."""

    key: str
    words: tuple[str | bytes, ...]

    def packed(self, epoch: bytes) -> bytes:
        return pack(self.words)

    def whole(self, epoch: bytes) -> bytes:
        return pack(self.words)


class Script(NamedTuple):
    digest: str
    text: str

    @classmethod
    def of(cls, text: str) -> Script:
        return cls(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), text)

    def __call__(self, keys: Sequence[str], *arguments: str | bytes) -> Call:
        return Call(self, tuple(keys), arguments)


class Call(NamedTuple):
    """One call of a script. ARGV[1] is always the epoch of the server that is asked."""

    script: Script
    keys: tuple[str, ...]
    arguments: tuple[str | bytes, ...]

    @property
    def key(self) -> str:
        return self.keys[0]

    def packed(self, epoch: bytes) -> bytes:
        return pack((b"EVALSHA", self.script.digest, str(len(self.keys)), *self.keys, epoch, *self.arguments))

    def whole(self, epoch: bytes) -> bytes:
        return pack((b"EVAL", self.script.text, str(len(self.keys)), *self.keys, epoch, *self.arguments))


def _script(name: str) -> Script:
    return Script.of(resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8"))


LEASE = _script("lease")
FILL = _script("fill")
RELEASE = _script("release")
INVALIDATE = _script("invalidate")
PUBLISH = _script("publish")
TAKE_PINGS = _script("take_pings")
