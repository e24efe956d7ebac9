"""Where a store is, in one text: a folder, or the address of a database. No folder is ever made of what looks like an address."""

from __future__ import annotations

import re
from pathlib import Path

POSTGRES = re.compile(r"postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)
"""SQLAlchemy's spellings too."""
_FOLDER = re.compile(r"[/\\~.]|[A-Za-z]:(?:[/\\]|\Z)")
"""How a path begins that can be nothing else."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):[/\\]")
_KNOWN = re.compile(
    r"(file|memory|mem|sqlite3?|postgres(?:ql)?|mysql|mariadb|mongodb|duckdb|redis|rediss|valkey|valkeys|unix|s3|gs|gcs|az|abfss?|"
    r"https?|ftp|jdbc|odbc|data)(?:\+\w+)?:",
    re.IGNORECASE,
)
_HOST = re.compile(r"[^/\\]*@[^/\\]*|[^/\\@]+:\d{1,5}(?:[/\\?].*)?|\[[0-9A-Fa-f:.]+\](?::\d+)?.*", re.DOTALL)
"""`user@host`, `host:5432/db`, `[::1]:6379`: before the first slash."""
_ACCOUNT = re.compile(r"[^/\\\s]*:.*@", re.DOTALL)
_WORDS = re.compile(
    r"\s*(host|hostaddr|port|dbname|database|user|username|password|passfile|service|sslmode|options|server|data source|driver|dsn|url)"
    r"\s*=",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(?:password|passwd|pwd)\s*=", re.IGNORECASE)


def looks_like(text: str) -> str | None:
    """What an address begins with, without anything that may be secret; None for what names a folder.

    After `./` anything is a folder.
    """
    if text.startswith(":"):
        return text if text == ":memory:" else ":…"
    if _FOLDER.match(text):
        return None
    if found := _SCHEME.match(text) or _KNOWN.match(text):
        return f"{found[1]}:…"
    if found := _WORDS.match(text):
        return f"{found[1]}=…"
    if _PASSWORD.search(text):
        return "…password=…"
    if _HOST.match(text.partition("/")[0]) or _HOST.fullmatch(text) or _ACCOUNT.match(text):
        return "…@…" if "@" in text else "host:port"
    return None


def postgres_address(text: str) -> str | None:
    """The address as PostgreSQL's own library takes it; None unless it is one of a PostgreSQL database."""
    found = POSTGRES.match(text)
    return None if found is None else f"postgresql://{text[found.end() :]}"


def resolved(path: str) -> Path:
    """The folder as it is found now: absolute, without `~` and symbolic links. RuntimeError, OSError where that is not known."""
    return Path(path).expanduser().resolve()
