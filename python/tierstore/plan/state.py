"""What a key of state may be, what of it may be shown, and how long a value may live."""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from typing import Final

from tierstore.config.state import MAX_TTL_S
from tierstore.errors import InvalidKeyError, ValidationError, raise_alone
from tierstore.plan.arguments import shown

MAX_KEY_BYTES: Final = 1_024
SHOWN_PARTS: Final = 2
"""How many leading parts of a key a pattern shows."""
LAST_KEY: Final = "\U0010ffff" * MAX_KEY_BYTES
"""Behind every key."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")
_SURROGATES: Final = range(0xD800, 0xE000)


def check_key(key: object, place: str = "key") -> str:
    """`key` if it is 1 to 1,024 bytes of UTF-8 without control characters. InvalidKeyError, which does not show it, otherwise."""
    if type(key) is str and 0 < len(key) <= MAX_KEY_BYTES and key.isascii() and key.isprintable():
        return key
    return _check_any(key, place)


def check_prefix(prefix: object) -> str:
    """`prefix` if a key could begin with it; the empty one is allowed."""
    return "" if isinstance(prefix, str) and not prefix else check_key(prefix, "prefix")


def _check_any(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise InvalidKeyError(f"{place} must be str, not {type(key).__name__}", place=place)
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise_alone(InvalidKeyError(f"{place} contains a lone surrogate, which UTF-8 cannot encode", place=place))
    if not 0 < size <= MAX_KEY_BYTES:
        raise InvalidKeyError(f"{place} must have 1 to {MAX_KEY_BYTES} bytes in UTF-8, got {size}", place=place)
    for index, character in enumerate(key):
        if unicodedata.category(character) == "Cc":
            text = f"character {index + 1} of {place} is a control character; expected none"
            raise InvalidKeyError(text, place=place)
    return str(key)


def pattern(key: str) -> str:
    """What spans, logs and texts show of a key, `polly:pr_number:*`: its leading parts if they are names, and a star for the rest."""
    shown_parts = []
    for part in key.split(":")[:-1][:SHOWN_PARTS]:
        if _NAME.fullmatch(part) is None:
            break
        shown_parts.append(part)
    return ":".join([*shown_parts, "*"])


def bounds(prefix: str) -> tuple[str, str]:
    """The first text that begins with `prefix`, and the first behind all that do, in the order of characters (and of UTF-8 bytes)."""
    for at in range(len(prefix) - 1, -1, -1):
        if prefix[at] != "\U0010ffff":
            return prefix, prefix[:at] + _following(prefix[at])
    return prefix, LAST_KEY


def _following(character: str) -> str:
    code = ord(character) + 1
    return chr(_SURROGATES.stop if code in _SURROGATES else code)


def check_ttl(ttl: object) -> int:
    """A lifetime, in seconds or as a timedelta, in milliseconds, at least one. ValidationError unless it is above 0 and below ten years."""
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= MAX_TTL_S:
        text = f"ttl must be a positive number of seconds or a timedelta of at most ten years, or None for no end, got {shown(ttl)}"
        raise ValidationError(text, place="ttl")
    return max(1, round(seconds * 1000))
