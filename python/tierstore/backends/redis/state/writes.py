"""How changes are made: by scripts, or, where nobody watches, values by plain SET.

A SET tells nobody. So it may be used only if nobody watches at the very moment in which it is executed, and a writer cannot know that
when it sends it. The server can: each exchange ends in WATCH and GET of the mark of the watchers, and the next one on that link puts
its SETs into MULTI and EXEC. Where the mark was absent, and nobody has set it since, EXEC does them all; else it does none, and the
script makes them. Beside a bare SET that costs the server 1.1 µs for a lone caller and 4 % in a crowd; the script costs twice a SET.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tierstore.backends.redis.commands import Command
from tierstore.backends.redis.errors import typed
from tierstore.backends.redis.link import Link
from tierstore.backends.redis.route import Route
from tierstore.backends.redis.state.scripts import Names
from tierstore.backends.redis.state.travel import Answers, Stored, Together, Write, ask, of_state, singly
from tierstore.backends.redis.wire import ReplyError, pack
from tierstore.errors import ConfigError, StorageError, raise_alone
from tierstore.runtime import Deadline, Runtime

MULTI, EXEC = pack(("MULTI",)), pack(("EXEC",))
STORED = 1
GUARD_REPLIES = 3


class ByScript(Together):
    """Every change that tells who watches: values to be stored go in one script, other calls beside it."""

    async def store(self, stored: Stored, deadline: Deadline) -> bool:
        """Whether it was stored."""
        (answer,) = await self.travel(Write(stored, (), deadline), again=stored.again)
        return bool(answer == STORED)

    async def change(self, commands: Sequence[Command], deadline: Deadline, *, again: bool) -> list[Any]:
        """The replies. `again`: as for `travel`."""
        return await self.travel(Write(None, commands, deadline), again=again)

    async def exchange(self, writes: Sequence[Write], deadline: Deadline) -> list[Answers]:
        stored = [write.stored for write in writes if write.stored is not None]
        puts, places = self.puts(stored)
        commands = [*puts, *(command for write in writes for command in write.commands)]
        replies = await ask(self._route, commands, deadline)
        each: list[Any] = [None] * len(stored)
        for ats, reply in zip(places, replies, strict=False):
            for at, one in zip(ats, singly(reply, len(ats)), strict=True):
                each[at] = one
        if len(stored) > 1:
            await self._apart(stored, each, deadline)
        own, others = iter(each), iter(replies[len(puts) :])
        return [[next(own)] if write.stored else [next(others) for _ in write.commands] for write in writes]

    async def _apart(self, stored: list[Stored], each: list[Any], deadline: Deadline) -> None:
        """A script may be refused because the account may not touch one of its keys: then nothing was done, and each goes alone."""
        refused = [at for at, answer in enumerate(each) if isinstance(answer, ConfigError)]
        if refused:
            commands = [command for at in refused for command in self.puts([stored[at]])[0]]
            for at, reply in zip(refused, await ask(self._route, commands, deadline), strict=True):
                (each[at],) = singly(reply, 1)

    def puts(self, stored: Sequence[Stored]) -> tuple[list[Command], list[list[int]]]:
        """The scripts that store them, one a slot in a cluster, and the places of the values that each has."""
        keys = [one.key for one in stored]
        places = self._names.group(keys)
        commands: list[Command] = []
        for ats in places:
            arguments = [argument for at in ats for argument in stored[at].arguments()]
            commands.append(self._names.call(self._names.scripts.put, [keys[at] for at in ats], *arguments))
        return commands, places


class BySet(Together):
    """Values to be stored, whatever is there, on one server."""

    def __init__(self, by_script: ByScript, runtime: Runtime, route: Route, names: Names) -> None:
        super().__init__(runtime, route, names)
        self._by_script = by_script
        mark = (names.mark,)
        self._guard = b"".join(map(pack, (("UNWATCH",), ("WATCH", *mark), ("GET", *mark))))

    async def store(self, stored: Stored, deadline: Deadline) -> bool:
        """Whether it was stored."""
        await self.travel(Write(stored, (), deadline), again=True)
        return True

    async def exchange(self, writes: Sequence[Write], deadline: Deadline) -> list[Answers]:
        stored = [write.stored for write in writes if write.stored is not None]
        node = await self._route.node("", deadline)
        try:
            _, replies = await node.talk(partial(self._say, stored, deadline), deadline)
        except StorageError as error:
            raise_alone(of_state(error))
        done = replies[-1 - GUARD_REPLIES]
        if isinstance(done, list):
            return [[of_state(typed(one)) if isinstance(one, ReplyError) else STORED] for one in done]
        return await self._by_script.exchange(
            writes, deadline
        )  # nothing was done: somebody watches now, or it was refused

    async def _say(self, stored: Sequence[Stored], deadline: Deadline, link: Link) -> list[Any]:
        if link.is_guarded:
            words = [MULTI, *(pack(one.words()) for one in stored), EXEC]
        else:
            words = [command.packed(link.epoch) for command in self._by_script.puts(stored)[0]]
        link.is_guarded = False
        replies = await link.exchange(b"".join([*words, self._guard]), len(words) + GUARD_REPLIES, deadline)
        link.is_guarded = replies[-2] == b"OK" and replies[-1] is None
        return replies
