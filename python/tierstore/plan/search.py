"""What a search asks of the index in memory and of the two engines, so that all answer the same page.

Each gives candidates, a superset of the hits; the core's score alone says which of them are hits, and how good. Candidates come
in grades, each read in one order, newest version first within a subject (`Key`):

    subject     every word of three letters or more stands in the subject
    anywhere    every such word stands in subject, description or search text
    similar     the rest: some word is only similar to what is there

A hit's score is the core's, graded by its grade: every hit of a grade scores above every hit of the next. So a page reads a grade only if
those before it do not fill the page, and the dearest, what is only similar, is mostly left alone. A grade is cut into blocks in the order
of `Key`, and a block is listed by descending score before the next one: a grade whose hits are one block is ranked as a whole, and one
with more never has to be read as a whole.

SQLite's trigram index knows no word boundaries. A word with n trigrams is similar only if 0.6 n of them are found. Those with a blank
(at most three a run of letters) it cannot see, so it is asked for the remaining number of the others. Where none may remain, what is
similar begins and ends like the word without holding a whole trigram of it ("five names" for "nave"); that is asked for between any
separators of ASCII. tests/core/test_search_plan.py tries it on every kind of word.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from tierstore._native import trigrams
from tierstore.errors import ValidationError
from tierstore.plan.values import LAST_CHARACTER, MAX_TEXT_CHARACTERS, check_text

BLOCK_HITS = 256
SIMILAR_BLOCK_HITS = 64
WALKED_ROWS = 4_096
FIRST_WALK = 512
SAMPLED_ROWS = 256
ASSUMED_ROWS = 100_000
INDEX_COST = {"postgres": 10.0, "sqlite": 25.0}
LEAST_WALKED = {"postgres": 16_384, "sqlite": 0}
"""What is only similar is looked for by reading row after row and scoring all of them, some 10 µs a row, or by asking the index for the
rows that share enough trigrams with a word, at INDEX_COST times the price for each of those: PostgreSQL's own word_similarity takes 60 to
100 µs, and SQLite's index proposes many more rows than are near, and sorts all of them again for every WALKED_ROWS. So many rows as
LEAST_WALKED are read in any case: PostgreSQL's planner takes word_similarity to be cheap, and would compare every row of a small table."""
MANY_PROPOSED = 20_000
"""Where SQLite's index proposes more rows than this, reading all subjects in order is quicker than reading those rows' subjects."""
MAX_WORDS = 16
SHORTEST_SOUGHT = 3
SIMILAR_SHARE = 0.6
SEPARATORS = "".join(chr(code) for code in (9, 10, 13, *range(32, 127)) if not chr(code).isalnum())
_BLANKS = str.maketrans(dict.fromkeys(SEPARATORS, " "))
GRADES = ("subject", "anywhere", "similar")
NOTHING = "\x01"
"""A pattern that no text matches."""
BLOCKS = {"all": 0, "subject": BLOCK_HITS, "anywhere": BLOCK_HITS, "similar": SIMILAR_BLOCK_HITS}
"""How many hits of a grade are ranked together. Without a text there is nothing to rank: 0, as many as a page lacks."""
_RANKS = {grade: rank for rank, grade in enumerate(reversed(GRADES))}


class Key(NamedTuple):
    """Where a schema stands in the order of all: by subject, its newest version first."""

    subject: str
    major: int
    minor: int
    patch: int
    prerelease_key: bytes

    def rank(self) -> tuple[str, int, int, int, bytes]:
        """Ascending where the order is: versions and the bytes of the pre-release are turned round."""
        turned = bytes(255 - byte for byte in self.prerelease_key) + b"\xff"
        return self.subject, -self.major, -self.minor, -self.patch, turned


FIRST: Final = Key("", 2**31 - 1, 2**31 - 1, 2**31 - 1, b"\xff\xff")
"""Before every schema: no subject is empty."""


class Words(NamedTuple):
    """A search text: as the score takes it, its words of three letters and more, and the shorter ones. In lower case but `text`."""

    text: str
    long: tuple[str, ...]
    short: tuple[str, ...]

    def grades(self) -> tuple[str, ...]:
        """The grades that can hold hits."""
        return GRADES if self.long else GRADES[:1]


def graded(grade: str, score: float) -> float:
    """The score of a hit in that grade: between 0 and 1, above all of the grades behind."""
    return (_RANKS[grade] + score) / len(GRADES)


def words_of(text: object) -> Words | None:
    """None for None and for blanks. ValidationError for a text that is too long."""
    if text is None:
        return None
    unique = {word.lower(): word for word in check_text(text, "text", MAX_TEXT_CHARACTERS).split()}
    if len(unique) > MAX_WORDS:
        raise ValidationError(f"text must have at most {MAX_WORDS} words, got {len(unique)}", place="text")
    if not unique:
        return None
    long = tuple(word for word in unique if len(word) >= SHORTEST_SOUGHT)
    short = tuple(word for word in unique if len(word) < SHORTEST_SOUGHT)
    return Words(" ".join(unique.values()), long, short)


def terms(words: Words, ranked: Sequence[str] = ()) -> dict[str, Any]:
    """The parameters of a search that come from its words. The first of `ranked` leads, or the longest: it finds the fewest.

    `contained` are the patterns that only an earlier grade's hit matches; beyond ASCII they decide nothing. `narrow`: a word in
    the subject is worth more than it could be anywhere else, so of this grade the subject is all that the score needs.
    """
    lead, second = (*(ranked or sorted(words.long, key=len, reverse=True)), "", "")[:2]
    second = second or lead
    patterns = [f"%{_like(word)}%" for word in words.long]
    plain = all(word.isascii() for word in words.long)
    return {
        "lead": lead,
        "pattern": f"%{_like(lead)}%",
        "second": second,
        "second_pattern": f"%{_like(second)}%",
        "patterns": patterns,
        "prefixes": [f"{_like(word)}%" for word in words.short],
        "contained": patterns if plain else [NOTHING],
        "narrow": plain,
    }


SPELLINGS = 4


def prefix_ranges(words: Words) -> dict[str, str]:
    """The ranges of subjects that begin with the longest short word, in every mixture of upper and lower case."""
    word = max(words.short, key=len)
    spellings = [""]
    if word.isascii():
        for letter in word:
            spellings = [start + spelt for start in spellings for spelt in {letter, letter.upper()}]
    padded = spellings + spellings[:1] * (SPELLINGS - len(spellings))
    ranges = ((number, spelling) for number, spelling in enumerate(padded, start=1))
    return {
        f"{side}_{number}": text + end
        for number, text in ranges
        for side, end in (("from", ""), ("to", LAST_CHARACTER))
    }


def _like(word: str) -> str:
    """A LIKE pattern for the word. Beyond ASCII the engines fold case differently, so such a letter stands for anything."""
    return "".join("\\" + c if c in "\\%_" else c if c.isascii() else "%" for c in word)


def fts_contains(words: Sequence[str]) -> str | None:
    """FTS5: rows with all trigrams of the words. None where there is no trigram to ask for."""
    found = {word[at : at + 3] for word in words for at in range(len(word) - 2)}
    asked = sorted(trigram for trigram in found if trigram.isascii())
    return " AND ".join(map(_quoted, asked)) or None


def fts_similar(word: str) -> str | None:
    """FTS5: a superset of the rows in which the word stands or is similar. None where the index cannot decide."""
    inner, needed = _demand(word, blanks=False)
    runs = "".join(c if c.isalnum() else " " for c in word).split()
    if not inner or any(len(run) < SHORTEST_SOUGHT for run in runs) or not word.isascii():
        return None
    inside = _at_least(sorted(inner), max(1, needed))
    if needed <= 0 and len(runs) == 1 and word[:2] == word[-2:]:
        return None  # "aa" is similar to "aaaa": a field of two letters has no trigram at all
    return inside if needed > 0 else f"{inside} OR {_at_the_ends(runs)}"


def _at_the_ends(runs: Sequence[str]) -> str:
    """Rows where a word ends as a run does, and (with several runs: or) the next begins as one does."""
    ends = {run[-2:] + separator for run in runs for separator in SEPARATORS}
    begins = {separator + run[:2] for run in runs for separator in SEPARATORS}
    either, both = (" OR ".join(map(_quoted, sorted(side))) for side in (ends, begins))
    return f"({either}) AND ({both})" if len(runs) == 1 else f"{either} OR {both}"


class Walk:
    """What the rows that a walk has read say about reading on."""

    def __init__(self, words: Words, dialect: Literal["sqlite", "postgres"]) -> None:
        self._demands = {word: _demand(word, blanks=dialect == "postgres") for word in words.long}
        self._cost, self._least = INDEX_COST[dialect], LEAST_WALKED[dialect]
        self._near = dict.fromkeys(words.long, 0)
        self._sampled = self._rows = self._hits = 0

    def limit(self) -> int:
        """How many rows to read next: few at first, since the rows with a frequent word are many."""
        return min(WALKED_ROWS, FIRST_WALK + 3 * self._rows)

    def read(self, texts: Sequence[str], hits: int) -> None:
        """These search texts were read, and so many hits were among their rows."""
        self._rows += len(texts)
        self._hits += hits
        if self._sampled < SAMPLED_ROWS:
            sample = texts[:: max(1, len(texts) // SAMPLED_ROWS)]
            self._sampled += len(sample)
            spaced = [f" {text.translate(_BLANKS)} " for text in sample]
            for word, (trigrams, needed) in self._demands.items():
                self._near[word] += sum(_has(text, trigrams, needed) for text in spaced)

    def rare_words(self, wanted: int) -> tuple[str, ...]:
        """The words, those first that are near the fewest rows; none where reading on is expected to give `wanted` hits for less than
        the index would cost."""
        ranked = tuple(sorted(self._near, key=lambda word: (self._near[word], -len(word))))
        candidates = ASSUMED_ROWS * self._near[ranked[0]] / max(1, self._sampled)
        to_read = min(ASSUMED_ROWS, wanted * self._rows / max(1, self._hits))
        return ranked if self._rows >= self._least and candidates * self._cost < to_read else ()


def _has(text: str, trigrams: Collection[str], needed: int) -> bool:
    """Whether a text, with blanks for separators, has so many of the trigrams; those beyond ASCII are taken for missing."""
    return sum((trigram[1:] if trigram[:2] == "  " else trigram) in text for trigram in trigrams) >= needed


def _demand(word: str, *, blanks: bool) -> tuple[frozenset[str], int]:
    """The trigrams that the index is asked for, and how many of them a similar text has."""
    shingles = frozenset(trigrams(word))
    needed = math.ceil(len(shingles) * SIMILAR_SHARE - 1e-6)
    if blanks:
        return shingles, needed
    inner = frozenset(trigram for trigram in shingles if len(trigram) == 3 and trigram.isascii() and trigram.isalnum())
    return inner, needed - (len(shingles) - len(inner))


def _at_least(trigrams: list[str], needed: int) -> str:
    """Rows with `needed` of the trigrams, or a few more rows.

    With k of n present at most n - k are missing, so any n - k + 1 of them have one that is there: asked of each n - k + 1
    neighbours in a ring.
    """
    count = len(trigrams)
    width = count - needed + 1
    ring = trigrams + trigrams
    if width >= count:
        return " OR ".join(map(_quoted, trigrams))
    return " AND ".join(f"({' OR '.join(map(_quoted, ring[at : at + width]))})" for at in range(count))


def _quoted(trigram: str) -> str:
    return '"' + trigram.replace('"', '""') + '"'


def contains(stored: Any, wanted: Any) -> bool:
    """JSON containment as PostgreSQL's `@>` defines it, for the engine that has none.

    Objects contain objects with some of their names; arrays contain arrays each of whose elements they contain one of, in any order
    and number; at the top an array contains a scalar that is among its elements.
    """
    if isinstance(stored, list) and not isinstance(wanted, (list, dict)):
        return any(_same(element, wanted) for element in stored)
    return _contains(stored, wanted)


def _contains(stored: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        if not isinstance(stored, Mapping):
            return False
        return all(name in stored and _contains(stored[name], value) for name, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(stored, list):
            return False
        return all(any(_contains(element, value) for element in stored) for value in wanted)
    return _same(stored, wanted)


def _same(stored: Any, wanted: Any) -> bool:
    """Equal scalars; true and 1 are not."""
    if isinstance(stored, (Mapping, list)) or isinstance(stored, bool) != isinstance(wanted, bool):
        return False
    return bool(stored == wanted)
