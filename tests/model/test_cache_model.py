"""The cache against a plain model, over random operations: where the policy leaves no choice they agree, its bounds always hold.

The model keeps everything that was put. The cache may have evicted an entry, which its listener reports; never may it hold
another value, a key that went, more entries or weight than allowed, or forget to report what left.
`CACHE_MODEL_STEPS` says how many operations to make (200,000 by default); the seed of a failure is in its message.
"""

from __future__ import annotations

import os
import random
import threading
import time

import pytest

from tierstore.cache import Cache

STEPS = int(os.environ.get("CACHE_MODEL_STEPS", "200000"))
TAGS = ("red", "green", "blue")


class Colliding:
    """Keys of few hashes, compared by Python."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number % 5

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Colliding) and other.number == self.number


KINDS = {
    "text": lambda number: f"key {number}",
    "number": lambda number: number * 2**32,
    "pair": lambda number: (str(number), number),
    "colliding": Colliding,
}


class Model:
    """What should be there, kept up to date by the listener."""

    def __init__(self, chance: random.Random, policy: str) -> None:
        self.chance = chance
        self.entries = chance.choice([1, 2, 7, 64, 300])
        self.weight = chance.choice([None, 40, 1000])
        self.key = KINDS[chance.choice(sorted(KINDS))]
        self.keys = [self.key(number) for number in range(chance.choice([3, 20, 500]))]
        self.kept: dict = {}
        self.tags: dict = {}
        self.tickets: list = []
        self.cache = Cache(self.entries, max_weight=self.weight, policy=policy, on_evict=self.left)
        self.putting = None

    def left(self, key, value, reason):
        if reason == "replaced" or (key, value) == self.putting:
            return
        assert self.kept.pop(key) == value, reason
        self.tags.pop(key)

    def put(self):
        key, value = self.chance.choice(self.keys), self.chance.random()
        weight = self.chance.choice([1, 1, 1, 0, 5, 60]) if self.weight else 1
        tags = self.chance.sample(TAGS, self.chance.choice([0, 0, 1, 3]))
        self.kept.pop(key, None), self.tags.pop(key, None)
        heavy = self.weight is not None and weight > self.weight
        if not heavy:
            self.kept[key], self.tags[key] = value, tags
        self.putting = (key, value) if heavy else None
        self.cache.put(key, value, weight=weight, tags=tags)
        self.putting = None
        self.forget(key)

    def forget(self, key):
        """What is written may not be filled by a load that began before."""
        self.tickets = [(ticket, fresh and ticket.key != key) for ticket, fresh in self.tickets]

    def get(self):
        key = self.chance.choice(self.keys)
        assert self.cache.get(key, "absent") == self.kept.get(key, "absent")

    def get_many(self):
        keys = self.chance.sample(self.keys, min(3, len(self.keys)))
        assert self.cache.get_many(keys) == [self.kept.get(key) for key in keys]

    def invalidate(self):
        key = self.chance.choice(self.keys)
        was = key in self.kept
        assert self.cache.invalidate(key) is was
        assert key not in self.kept
        self.forget(key)

    def pop(self):
        key = self.chance.choice(self.keys)
        expected = self.kept.pop(key, "absent")
        self.tags.pop(key, None)
        assert self.cache.pop(key, "absent") == expected
        self.forget(key)

    def invalidate_tag(self):
        tag = self.chance.choice(TAGS)
        tagged = [key for key, tags in self.tags.items() if tag in tags]
        assert self.cache.invalidate_tag(tag) == len(tagged)
        assert not any(tag in tags for tags in self.tags.values())
        for key in tagged:
            self.forget(key)

    def begin(self):
        self.tickets.append((self.cache.begin(self.chance.choice(self.keys)), True))

    def fill(self):
        if not self.tickets:
            return
        ticket, fresh = self.tickets.pop(self.chance.randrange(len(self.tickets)))
        value = self.chance.random()
        before = self.kept.get(ticket.key, "absent"), self.tags.get(ticket.key)
        if fresh:
            self.kept[ticket.key], self.tags[ticket.key] = value, []
        if self.cache.fill(ticket, value):
            assert fresh, "a fill was taken that began before a write"
        elif fresh:  # another key of its stripe was written: allowed, and nothing was changed
            del self.kept[ticket.key], self.tags[ticket.key]
            if before[0] != "absent":
                self.kept[ticket.key], self.tags[ticket.key] = before

    def clear(self):
        if self.chance.random() < 0.02:
            self.cache.clear()
            assert not self.kept
            self.tickets = [(ticket, False) for ticket, _ in self.tickets]

    def check(self):
        cache = self.cache
        assert len(cache) == len(self.kept) <= self.entries
        assert cache.stats().weight <= (self.weight or self.entries)
        assert dict(cache.items()) == self.kept
        assert sorted(map(id, cache.values())) == sorted(map(id, self.kept.values()))


STEPS_OF_A_STORY = 2000
MOVES = ("put",) * 8 + ("get",) * 8 + ("get_many", "invalidate", "pop", "invalidate_tag", "begin", "fill", "clear")


@pytest.mark.parametrize("policy", ["default", "lru"])
def test_the_cache_and_the_model_agree(policy):
    for seed in range(max(1, STEPS // STEPS_OF_A_STORY // 2)):
        chance = random.Random(seed)
        model = Model(chance, policy)
        for step in range(STEPS_OF_A_STORY):
            move = chance.choice(MOVES)
            try:
                getattr(model, move)()
                if step % 50 == 0:
                    model.check()
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, step {step}, {move}: {error}") from error
        model.check()


def test_eight_threads_and_every_operation():
    """Nothing is lost or torn: a value always belongs to its key, and the bounds hold at the end."""
    cache, stop, failures = Cache(200, ttl=0.05, max_weight=300), threading.Event(), []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        while not stop.is_set():
            key = f"key {chance.randrange(400)}"
            try:
                step(cache, chance, key)
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(float(os.environ.get("CACHE_THREADS_S", "2")))
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(cache) <= 200
    assert cache.stats().weight <= 300
    assert all(value.startswith(key) for key, value in cache.items())


def step(cache: Cache, chance: random.Random, key: str) -> None:
    move = chance.randrange(9)
    if move < 3:
        found = cache.get(key)
        assert found is None or found.startswith(key)
    elif move < 5:
        cache.put(key, key + " put", ttl=chance.choice([0.001, 1]), weight=chance.randrange(3), tags=[key[-1]])
    elif move == 5:
        cache.invalidate(key)
    elif move == 6:
        assert cache.get_or_load(key, lambda: key + " loaded").startswith(key)
    elif move == 7:
        cache.invalidate_tag(key[-1])
    else:
        cache[key] = key + " set"
        list(cache.items())
