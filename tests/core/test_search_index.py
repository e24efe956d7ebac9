"""The index in memory proposes every hit of a grade: held against the score itself, on texts that are made to be near misses."""

from __future__ import annotations

import random
import threading

import pytest

from tierstore import _native, errors
from tierstore.plan.search import FIRST, Key

ALPHABETS = ["ab", "abc", "abcdef", "abcdefghijklmnopqrstuvwxyz", "aAbBéÉßK", "ab1–"]
SEPARATORS = [" ", "_", ".", "-", "  ", "__", "; "]


def random_text(dice, letters, words, longest=6):
    spelt = ("".join(dice.choices(letters, k=dice.randint(1, longest))) for _ in range(dice.randint(0, words)))
    return "".join(word + dice.choice(SEPARATORS) for word in spelt)


def rows_of(dice, letters, count):
    """As the index takes them; texts that repeat pieces of each other, so that words go on over their boundaries."""
    for number in range(count):
        parts = [random_text(dice, letters, 4) for _ in range(3)]
        text = "".join(dice.choices(parts, k=3)) + random_text(dice, letters, 8)
        subject = random_text(dice, letters, 2).strip() or "x"
        yield (_native.uuid7(), f"{subject}{number}", number % 3, 0, 0, b"\xff", parts[0], text)


def query_of(dice, letters, rows):
    """Words of nothing in particular, and pieces of what is there with a letter changed, added or left out."""
    words = []
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        if dice.random() < 0.3:
            words.append(random_text(dice, letters, 2, 9).strip().replace(" ", "_") or "abc")
            continue
        text = dice.choice(rows)[7].replace(" ", dice.choice("_. "))
        start = dice.randrange(len(text) or 1)
        piece = text[start : start + dice.randint(3, 14)]
        at = dice.randrange(len(piece) + 1)
        words.append(piece[:at] + dice.choice(["", "", dice.choice(letters)]) + piece[at + dice.choice((0, 0, 1)) :])
    if dice.random() < 0.3:
        words.append(dice.choice(rows)[1][: dice.randint(1, 2)].strip() or "x")
    return " ".join(words)


def key_of(row):
    return Key(*row[1:6])


@pytest.mark.requirement("S1-12")
@pytest.mark.parametrize("letters", ALPHABETS)
@pytest.mark.parametrize("seed", range(4))
def test_every_hit_is_proposed_in_the_order_of_keys(letters, seed):
    dice = random.Random(f"{letters} {seed}")
    rows = list(rows_of(dice, letters, 300))
    index = _native.SearchIndex()
    index.add(rows[:100])
    index.add(rows[50:])
    assert len(index) == len(rows)
    ordered = sorted(rows, key=lambda row: key_of(row).rank())
    fields = [(row[1], row[6], row[7]) for row in ordered]
    asked = 0
    for _ in range(150):
        text = query_of(dice, letters, rows)
        ranked = _native.rank_many(text, fields)
        for grade in range(3):
            if not index.can_search(text):
                continue
            asked += 1
            proposal = index.propose(text, grade, FIRST, 1000)
            hits = [row[0] for row, rank in zip(ordered, ranked, strict=True) if rank is not None and rank[0] <= grade]
            proposed = set(proposal.ids)
            missed = [row[1:] for row in ordered if row[0] in hits and row[0] not in proposed]
            assert not missed, (text, grade)
            assert proposal.ids == [row[0] for row in ordered if row[0] in proposed]
    assert asked > 200


def test_short_words_are_beginnings_of_subjects():
    index = _native.SearchIndex()
    subjects = ["Te", "a", "eT", "kilo", "t", "te.x", "\N{KELVIN SIGN}ilo", "été", "été.x"]
    index.add([(_native.uuid7(), subject, 1, 0, 0, b"\xff", "word", "") for subject in subjects])
    for text, expected in {
        "T": ["Te", "t", "te.x"],
        "te": ["Te", "te.x"],
        "te word": ["Te", "te.x"],
        "k": ["kilo", "\N{KELVIN SIGN}ilo"],
        "É": ["été", "été.x"],
        "x word": [],
        "te k": [],
    }.items():
        proposal = index.propose(text, 0 if "word" not in text else 1, FIRST, 10)
        assert [proposal.key(number)[0] for number in range(len(proposal))] == expected, text


def test_pages_go_on_behind_a_key():
    dice = random.Random(1)
    rows = list(rows_of(dice, "abc", 200))
    index = _native.SearchIndex()
    index.add(rows)
    everything = index.propose("abc", 2, FIRST, 1000)
    assert len(everything) == len(everything.ids) > 20
    found, after = [], FIRST
    while page := index.propose("abc", 2, after, 7):
        found += page.ids
        after = Key(*page.key(len(page) - 1))
    assert found == everything.ids
    with pytest.raises(IndexError):
        everything.key(len(everything))


def test_what_tokens_do_not_tell_is_refused():
    index = _native.SearchIndex()
    for text in ("", "%%%", "order ___"):
        assert not index.can_search(text)
        with pytest.raises(errors.ValidationError):
            index.propose(text, 2, FIRST, 10)
    assert index.can_search("ab order")
    assert index.propose("order", 2, FIRST, 10).ids == []
    with pytest.raises(errors.ValidationError):
        index.add([("no uuid", "s", 1, 0, 0, b"\xff", "", "")])


def test_a_key_is_what_was_given():
    index = _native.SearchIndex()
    version = _native.Version("2147483647.0.7-rc.1")
    identifier = _native.uuid7()
    key = ("größe.x", version.major, version.minor, version.patch, version.key)
    index.add([(identifier, *key, "", "größe")])
    proposal = index.propose("GRÖSSE größe", 2, FIRST, 10)
    assert proposal.ids == []
    proposal = index.propose("GRÖßE", 0, FIRST, 10)
    assert (proposal.ids, proposal.key(0)) == ([identifier], key)
    assert proposal.rank("größe", [(0, "", "größe"), (1, "", "")]) == [(0, pytest.approx(0.9)), None]


def test_grades_follow_from_where_the_words_stand():
    rows = [("order.line", "", ""), ("order", "a line", ""), ("ordre.line", "", "orde"), ("x", "", "")]
    assert [rank and rank[0] for rank in _native.rank_many("order line", rows)] == [0, 1, 2, None]
    assert [rank and rank[0] for rank in _native.rank_many("or", rows)] == [0, 0, 0, None]


def test_adding_and_proposing_at_once():
    index, rows = _native.SearchIndex(), list(rows_of(random.Random(2), "abc", 400))
    errors_seen = []

    def add(part):
        for row in part:
            if not index.try_add([row]):
                index.add([row])

    def propose():
        for _ in range(200):
            ids = index.propose("abc", 2, FIRST, 1000).ids
            if len(set(ids)) != len(ids):
                errors_seen.append(ids)

    threads = [threading.Thread(target=add, args=(rows[start::2],)) for start in range(2)]
    threads += [threading.Thread(target=propose) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors_seen
    assert len(index) == len(rows)
    assert index.bytes > 0


def test_a_long_row_costs_no_square():
    index = _native.SearchIndex()
    text = "ab " * 20_000
    index.add([(_native.uuid7(), "s", 1, 0, 0, b"\xff", text, "a" * 50_000)])
    assert len(index.propose("abacus", 2, FIRST, 10)) <= 1
