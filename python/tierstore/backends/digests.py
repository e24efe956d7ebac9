"""How blobs are named: `sha256/ab/<digest>`, alike in a folder and in a bucket, so that one can be copied to the other as it is."""

from __future__ import annotations

import re

from tierstore.errors import InvalidKeyError
from tierstore.plan.arguments import shown

ALGORITHM = "sha256"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def blob_name(digest: str) -> str:
    """The name under the root, with `/` between the parts. InvalidKeyError unless `digest` is 64 lower-case hex digits."""
    if not _DIGEST.fullmatch(digest):
        raise InvalidKeyError(f"digest must be 64 lower-case hex digits, got {shown(digest)}", tier="objects")
    return f"{ALGORITHM}/{digest[:2]}/{digest}"


def digest_of(name: str) -> str | None:
    """The digest that a name under the root ends with; None for a name that is not a blob's."""
    digest = name.rpartition("/")[2]
    return digest if _DIGEST.fullmatch(digest) and name == blob_name(digest) else None
