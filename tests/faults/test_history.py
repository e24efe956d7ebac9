"""Two stores over the same servers, random calls by both, Redis emptied and paused under them: what each saw is checked afterwards."""

from __future__ import annotations

import asyncio
import random

import pytest

import tierstore

SECONDS = 12.0
SUBJECTS = 8
PLAYERS = 10
READS = ("session", "session", "session", "latest", "bounded:2s", "bounded:300ms")


class History:
    """What each of the stores saw last of every key; `wrong` says which promise was broken."""

    def __init__(self, stores):
        self.stores = stores
        self.seen = [{} for _ in stores]
        self.acknowledged = {}
        self.wrong = []
        self.calls = 0

    def known(self, store, key):
        return self.seen[store].get(key, 0)

    def saw(self, store, key, version, least, promise):
        if version < least:
            self.wrong.append(f"{promise}: {key} at {version}, {least} was known")
        self.seen[store][key] = max(version, self.known(store, key))

    async def read(self, store, id, rng):
        least, read = self.known(store, id), rng.choice(READS)
        if read == "latest":
            least = max(least, self.acknowledged.get(id, 0))
        schema = await self.stores[store].schemas.get(id, read=read)
        if not schema.meta.stale:
            self.saw(store, id, schema.row_version, least, f"I1, {read}")

    async def newest(self, store, subject):
        least = self.known(store, subject)
        schema = await self.stores[store].schemas.get_latest(subject)
        self.saw(store, subject, int(schema.version.split(".")[1]), least, "I1, latest version")

    async def register(self, store, subject, number):
        await self.stores[store].schemas.register(subject, f"1.{number}.0", b"{}")
        self.saw(store, subject, number, 0, "")
        await self.newest(store, subject)

    async def change(self, store, id, rng):
        here, elsewhere = self.stores[store].schemas, self.stores[1 - store].schemas
        state = rng.choice(["active", "deprecated"])
        try:
            changed = await here.set_state(id, state)
        except tierstore.ConflictError:  # it has that state
            return
        version = changed.row_version
        self.acknowledged[id] = max(version, self.acknowledged.get(id, 0))
        self.saw(store, id, version, 0, "")
        self.saw(store, id, (await here.get(id)).row_version, version, "I2")
        there = await elsewhere.get(id, not_before=self.stores[store].token())
        self.saw(1 - store, id, there.row_version, version, "I3")

    async def come_and_go(self, store, id):
        """A schema that nobody else changes: what a deletion or a restoration answered is so from then on, here and elsewhere."""
        here, elsewhere = self.stores[store].schemas, self.stores[1 - store].schemas
        if not await here.delete(id):
            self.wrong.append(f"I5: {id} was deleted already")
        for schemas, more in ((here, {}), (elsewhere, {"not_before": self.stores[store].token()})):
            if await schemas.get(id, **more) is not None:
                self.wrong.append(f"I2, I3: {id} is deleted, and was read")
        restored = await here.restore(id)
        self.acknowledged[id] = restored.row_version
        self.saw(store, id, (await here.get(id)).row_version, restored.row_version, "I2, restored")

    async def give_up(self, store, id, rng):
        """A change whose caller leaves: done or not, and those that it met are done."""
        changing = asyncio.ensure_future(self.stores[store].schemas.set_state(id, rng.choice(["active", "deprecated"])))
        await asyncio.sleep(rng.random() * 0.01)
        changing.cancel()
        await asyncio.gather(changing, return_exceptions=True)

    async def at_rest(self, ids):
        for number, store in enumerate(self.stores):
            for id in ids:
                truth = (await store.schemas.get(id, read="latest")).row_version
                self.saw(number, id, truth, self.acknowledged.get(id, 0), "I5")
            for cached, truth in zip(
                await store.schemas.get_many(ids), await self.stores[1 - number].schemas.get_many(ids), strict=True
            ):
                self.saw(number, cached.id, cached.row_version, truth.row_version, "I7")


async def play(history, ids, own, seed):
    rng, end = random.Random(seed), asyncio.get_running_loop().time() + SECONDS
    while asyncio.get_running_loop().time() < end:
        store, id, subject = seed % 2, rng.choice(ids), f"history.{rng.randrange(SUBJECTS)}"
        history.calls += 1
        call = rng.random()
        if call < 0.7:
            await history.read(store, id, rng)
        elif call < 0.8:
            await history.newest(store, subject)
        elif call < 0.9:
            await history.register(store, subject, seed + 100 * history.calls)
        elif call < 0.96:
            await history.change(store, id, rng)
        elif call < 0.98:
            await history.come_and_go(store, own)
        else:
            await history.give_up(store, id, rng)
        await asyncio.sleep(rng.random() * 0.005)


async def disturb(redis_server):
    await asyncio.sleep(SECONDS / 6)
    redis_server.flush()
    await asyncio.sleep(SECONDS / 6)
    redis_server.pause()
    await asyncio.sleep(SECONDS / 4)
    redis_server.resume()
    await asyncio.sleep(SECONDS / 6)
    redis_server.flush()


@pytest.mark.requirement("S1-22", "S1-75")
def test_no_store_goes_back_in_time(everything, redis_server):
    async def scenario():
        async with tierstore.open(everything.config()) as one, tierstore.open(everything.config()) as other:
            items = [
                {"subject": f"{name}.{number}", "version": "1.0.0", "content": b"{}"}
                for name, count in (("history", SUBJECTS), ("own", PLAYERS))
                for number in range(count)
            ]
            made = [schema.id for schema in await one.schemas.register_many(items)]
            ids, own = made[:SUBJECTS], made[SUBJECTS:]
            history = History((one, other))
            players = [play(history, ids, own[seed], seed) for seed in range(PLAYERS)]
            await asyncio.gather(disturb(redis_server), *players)
            await asyncio.sleep(2.5)  # the relay has delivered everything
            await history.at_rest(made)
            assert not history.wrong, history.wrong[:10]
            assert history.calls > 500

    asyncio.run(scenario())
