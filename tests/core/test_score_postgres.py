"""Trigrams, word_similarity and the hit itself, beside pg_trgm of a real server under C.UTF-8."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import psycopg
import pytest

from tierstore._native import score, trigrams, word_similarity

ALPHABETS = [
    "ab",
    "abc _",
    "aAbB12 é",
    "éÉßẞİıſΣσςǅǆ k",
    "日本語 абв АБВ",
    "\t\n\x01'\"\\%",
    "Å ²½Ⅳ①",
    "\u05d0\u200e\u0639",
    "𐐀𐐨 😀a",
    "aA ord",
]
WORDS_SQL = "SELECT word_similarity(a, b) FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY u(a, b, i) ORDER BY i"
HIT_SQL = """
    SELECT t ILIKE '%%' || escaped || '%%' OR t %%> word
    FROM unnest(%s::text[], %s::text[], %s::text[]) WITH ORDINALITY u(word, escaped, t, i) ORDER BY i
"""
TRIGRAMS_SQL = "SELECT show_trgm(t) FROM unnest(%s::text[]) WITH ORDINALITY u(t, i) ORDER BY i"


@pytest.fixture(scope="module")
def pg_trgm(postgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.create_database(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        connection.execute("SET pg_trgm.word_similarity_threshold = 0.6")
        yield connection


def texts(rng: random.Random, count: int, longest: int) -> list[str]:
    chosen = [rng.choice(ALPHABETS) + rng.choice(ALPHABETS) for _ in range(count)]
    return ["".join(rng.choices(alphabet, k=rng.randrange(longest))) for alphabet in chosen]


def column(connection: psycopg.Connection, query: str, *arrays: list[str]) -> list[object]:
    return [value for (value,) in connection.execute(query, arrays).fetchall()]


def test_trigrams_of_every_character(pg_trgm: psycopg.Connection) -> None:
    """Letters and lower case of all of Unicode, as the server's locale has them."""
    characters = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(characters), 100_000):
        chunk = characters[start : start + 100_000]
        assert [trigrams(text) for text in chunk] == column(pg_trgm, TRIGRAMS_SQL, chunk)


def test_trigrams_of_texts(pg_trgm: psycopg.Connection) -> None:
    chosen = texts(random.Random(1), 20_000, 40)
    assert [trigrams(text) for text in chosen] == column(pg_trgm, TRIGRAMS_SQL, chosen)


def test_word_similarity_to_the_last_bit(pg_trgm: psycopg.Connection) -> None:
    rng = random.Random(2)
    words, contents = texts(rng, 10_000, 14), texts(rng, 20_000, 120)
    words += [content[3:15] + rng.choice("aé_") for content in contents[10_000:]]
    ours = [struct.pack("f", word_similarity(*pair)) for pair in zip(words, contents, strict=True)]
    theirs = [struct.pack("f", value) for value in column(pg_trgm, WORDS_SQL, words, contents)]
    assert ours == theirs
    assert len(set(ours)) > 60


def test_a_hit_is_ilike_or_similar(pg_trgm: psycopg.Connection) -> None:
    rng = random.Random(3)
    words, contents = [], []
    for content in texts(rng, 40_000, 40):
        at = rng.randrange(len(content) + 1)
        letters = [c if rng.random() < 0.8 else rng.choice("aord é") for c in content[at : at + rng.randrange(3, 12)]]
        word = "".join("".join(letters).split())
        if len(word) >= 3:
            words.append(word.swapcase() if rng.random() < 0.3 else word)
            contents.append(content)
    escaped = [word.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") for word in words]
    ours = [score(word, "", content, "") is not None for word, content in zip(words, contents, strict=True)]
    assert ours == column(pg_trgm, HIT_SQL, words, escaped, contents)
    assert 1000 < sum(ours) < len(ours) - 1000
