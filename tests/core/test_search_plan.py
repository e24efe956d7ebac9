"""The plan of a search: what SQLite's trigram index is asked for holds every hit, and containment is PostgreSQL's."""

from __future__ import annotations

import random
import sqlite3

import pytest

from tierstore import _native, errors
from tierstore.plan.search import (
    FIRST,
    FIRST_WALK,
    LEAST_WALKED,
    WALKED_ROWS,
    Key,
    Walk,
    contains,
    fts_contains,
    fts_similar,
    terms,
    words_of,
)

LETTERS = ["ab", "abc", "abcdefghijklmnopqrstuvwxyz"]


@pytest.fixture
def index():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5(doc, tokenize = 'trigram', detail = 'none', columnsize = 0)")
    yield connection
    connection.close()


def random_word(dice, letters, least, most):
    return "".join(dice.choices(letters, k=dice.randint(least, most)))


@pytest.mark.parametrize("letters", LETTERS)
@pytest.mark.parametrize("seed", range(3))
def test_every_similar_text_is_a_candidate(index, letters, seed):
    dice = random.Random(f"{letters}{seed}")
    documents = [
        "".join(random_word(dice, letters, 1, 7) + dice.choice(" ._-/, ") for _ in range(dice.randint(1, 8)))
        for _ in range(1500)
    ]
    index.executemany("INSERT INTO t (rowid, doc) VALUES (?, ?)", enumerate(documents))
    for _ in range(80):
        word = random_word(dice, letters, 3, 9)
        if dice.random() < 0.3:
            word += dice.choice("._-") + random_word(dice, letters, 1, 5)
        expected = {
            number
            for number, document in enumerate(documents)
            if word in document or _native.word_similarity(word, document) >= 0.6 - 1e-6
        }
        asked = fts_similar(word)
        if asked is not None:
            found = {row[0] for row in index.execute("SELECT rowid FROM t WHERE t MATCH ?", (asked,))}
            assert expected <= found, (word, [documents[number] for number in expected - found])


def test_a_misspelt_long_word_is_asked_narrowly(index):
    index.executemany("INSERT INTO t (doc) VALUES (?)", [("international shipment",), ("nation",), ("stationary",)])
    asked = fts_similar("internatonal")
    found = [row[0] for row in index.execute("SELECT doc FROM t WHERE t MATCH ?", (asked,))]
    assert found == ["international shipment"]


def test_words_without_trigrams_cannot_be_asked():
    assert fts_contains(["ab", "é."]) is None
    assert fts_similar("größe") is None
    assert fts_similar("a.b") is None
    assert fts_contains(['say"so']) == '"""so" AND "ay""" AND "say" AND "y""s"'


def test_words():
    words = words_of("  Order the ORDER  id ")
    assert (words.text, words.long, words.short) == ("ORDER the id", ("order", "the"), ("id",))
    assert words_of(None) is words_of(" \n") is None
    assert terms(words_of("a_b%c naïve"))["patterns"] == ["%a\\_b\\%c%", "%na%ve%"]
    for bad in (5, "x" * 1025, " ".join(map(str, range(20))), "a\x00b"):
        with pytest.raises(errors.ValidationError):
            words_of(bad)


@pytest.mark.parametrize("letters", LETTERS)
def test_a_word_in_the_subject_is_worth_more_than_anywhere(letters):
    """So `narrow` queries read the subject alone."""
    dice = random.Random(letters)
    for _ in range(500):
        words = [random_word(dice, letters, 3, 6) for _ in range(dice.randint(1, 3))]
        subject = ".".join(dice.choice(["", "x"]) + word + dice.choice(["", "y"]) for word in words)
        fields = [" ".join(random_word(dice, letters, 1, 6) for _ in range(5)) + f" {words[0]}" for _ in range(2)]
        query = " ".join(words)
        assert _native.score(query, subject, *fields) == _native.score(query, subject, "", "") is not None
    assert terms(words_of("order line"))["narrow"]
    assert not terms(words_of("größe line"))["narrow"]


def test_a_walk_goes_on_while_it_finds_and_leaves_what_is_rare_to_the_index():
    words = words_of("custmer ordr")
    found = Walk(words, "postgres")
    assert found.limit() == FIRST_WALK
    found.read(["some customer_order"] * FIRST_WALK, hits=50)
    assert found.limit() == 4 * FIRST_WALK
    assert found.rare_words(14) == ()
    rare = Walk(words, "postgres")
    rare.read(["an order of parts"] * (FIRST_WALK - 1) + ["a customer_order"], hits=0)
    assert rare.rare_words(64) == ()
    rare.read(["an order of parts"] * LEAST_WALKED["postgres"], hits=0)
    assert rare.rare_words(64) == ("custmer", "ordr")
    common = Walk(words, "sqlite")
    common.read(["customers ordering"] * FIRST_WALK, hits=0)
    assert common.rare_words(64) == ()
    common.read([""] * WALKED_ROWS, hits=0)
    assert common.limit() == WALKED_ROWS


def test_the_order_of_all_is_newest_first_within_a_subject():
    texts = ["1.10.0", "1.9.0", "1.9.0-rc.2", "1.9.0-rc.1", "1.9.0-rc", "1.9.0-1.1", "1.9.0-1"]
    keys = [_key("a", text) for text in texts]
    keys.append(_key("b", "2.0.0"))
    shuffled = random.Random(1).sample(keys, k=len(keys))
    assert sorted(shuffled, key=Key.rank) == keys
    assert all(FIRST.rank() < key.rank() for key in keys)


def _key(subject, text):
    version = _native.Version(text)
    return Key(subject, version.major, version.minor, version.patch, version.key)


CASES = [
    ({"a": 1, "b": 2}, {"a": 1}, True),
    ({"a": 1}, {"a": 1.0}, True),
    ({"a": 1}, {"a": True}, False),
    ({"a": None}, {"a": None}, True),
    ({}, {"a": None}, False),
    ({"a": [1, 2, 3]}, {"a": [3, 1, 1]}, True),
    ({"a": [1, 2]}, {"a": [[1]]}, False),
    ({"a": [[1, 2]]}, {"a": [[1]]}, True),
    ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, True),
    ({"a": [1]}, {"a": 1}, False),
    ({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"d": 2}}}, True),
    ({"a": {"b": 1}}, {"b": 1}, False),
    ({"a": "1"}, {"a": 1}, False),
    ({"a": []}, {"a": []}, True),
    ({"a": {}}, {"a": []}, False),
    ([1, 2], 1, True),
    ([[1]], [1], False),
]


@pytest.mark.parametrize(("stored", "wanted", "answer"), CASES)
def test_containment(stored, wanted, answer):
    assert contains(stored, wanted) is answer


def test_containment_is_what_postgres_says(database):
    import orjson
    import psycopg

    with psycopg.connect(database) as connection:
        for stored, wanted, _ in CASES:
            pair = (orjson.dumps(stored).decode(), orjson.dumps(wanted).decode())
            assert connection.execute("SELECT %s::jsonb @> %s::jsonb", pair).fetchone()[0] is contains(stored, wanted)
