"""What a search hit is, and how hits are ordered."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstore._native import score, score_many, trigrams, word_similarity

TEXT = st.text(alphabet="aAbBor deE_.-é1", max_size=30)


def test_each_way_to_be_a_hit() -> None:
    assert score("order", "purchase_orders", "", "") is not None
    assert score("ORDER", "x", "the Order", "") is not None
    assert score("ordr", "x", "", "order line") is not None
    assert score("ordr", "x", "", "invoice line") is None
    assert score("order line", "acme.order", "", "") is None
    assert score("order line", "acme.order", "one line", "") is not None
    assert score("", "x", "", "") == score(" \t", "x", "", "") == 0.0


def test_short_words_match_beginnings_of_subjects() -> None:
    assert score("ac", "Acme", "", "") is not None
    assert score("ac", "x", "acme", "acme") is None
    assert score("é", "Éa", "", "") is not None


def test_better_matches_come_first() -> None:
    rows = [
        ("order", "", ""),
        ("order.line", "", ""),
        ("acme.order", "", ""),
        ("acme.orders", "", ""),
        ("reorder", "", ""),
        ("acme.ordre", "", ""),
        ("x", "an order", ""),
        ("x", "", "an order"),
    ]
    scores = score_many("order", rows)
    assert scores[5] is None
    found = [value for value in scores if value is not None]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)
    assert all(0 < value <= 1 for value in found)


@given(TEXT, TEXT, TEXT, TEXT)
def test_one_by_one_is_as_many(query: str, subject: str, description: str, text: str) -> None:
    rows = [(subject, description, text), (text, subject, ""), ("", "", description)]
    assert score_many(query, rows) == [score(query, *row) for row in rows]


@given(TEXT, TEXT)
def test_a_hit_is_a_substring_or_similar(word: str, text: str) -> None:
    word = "".join(word.split())
    if len(word) < 3:
        return
    expected = word.lower() in text.lower() or word_similarity(word, text) >= 0.6
    assert (score(word, "", text, "") is not None) == expected


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_answered(one: str, other: str) -> None:
    assert 0 <= word_similarity(one, other) <= 1
    assert all(trigrams(one))
    score(one, other, one, other)


@pytest.mark.parametrize("text", ["ab" * 50_000, "a" * 100_000, "abcd efgh " * 10_000, "order invoice " * 8_000])
def test_a_text_that_repeats_itself_costs_no_square(text: str) -> None:
    start = time.perf_counter()
    for word in ("abacus", "ordrinvoice", "aabbaabb" * 20):
        score(word, "", "", text)
    assert time.perf_counter() - start < 5


def test_rows_in_bulk() -> None:
    rng = random.Random(3)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(3, 10))) for _ in range(500)]
    rows = [(f"acme.{rng.choice(words)}", rng.choice(words), " ".join(rng.choices(words, k=300))) for _ in range(300)]
    query = words[0][:-1] + "x"
    assert score_many(query, rows) == [score(query, *row) for row in rows]
