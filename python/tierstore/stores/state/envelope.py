"""What is stored for an encoded value: itself, compressed where that is smaller, and sealed where keys are configured.

    0x02 0x00 <zlib stream>                                     compressed
    0x03 <length> <key id> <nonce, 12 bytes> <ciphertext and tag>   sealed: AES-256-GCM over the value, compressed or not

The prefix and the key of the value are associated data of the seal, and so is its head: a sealed value that is moved to another key does
not open. Values from before encryption was configured are read as they are; `StateStore.rekey` seals them. Sealing hides what a value
says and not how long it is. A nonce is 96 random bits, so that one key is good for 2^32 seals (NIST SP 800-38D, 8.3).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from typing import Any, Final, Protocol

from tierstore.errors import ConfigError, CorruptError, raise_alone

COMPRESSED: Final = b"\x02"
ZLIB: Final = b"\x00"
"""The method, after COMPRESSED."""
SEALED: Final = b"\x03"
LEVEL: Final = 1
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
MAX_KEY_ID_BYTES: Final = 255
EXTRA: Final = "encryption"


class Keys(Protocol):
    """As `StateEncryption`: the keys that open, by id, and the id of the one that seals."""

    @property
    def keys(self) -> Mapping[str, bytes]: ...
    @property
    def active(self) -> str: ...


class Envelope:
    """`compress_min`: from so many bytes on compression is tried. `most`: bytes that an encoded value may have. `prefix`: of all keys."""

    def __init__(self, compress_min: int, encryption: Keys | None = None, *, most: int, prefix: str = "") -> None:
        self._compress_min = compress_min
        self._most = most
        self._prefix = prefix
        self._seal_head = b""
        self._ciphers: dict[bytes, Any] = {}
        if encryption is not None:
            self._ciphers = {_head(name): _cipher(key) for name, key in encryption.keys.items()}
            self._seal_head = _head(encryption.active)

    def __repr__(self) -> str:
        return f"Envelope({'sealed' if self._seal_head else 'open'})"

    @property
    def seals(self) -> bool:
        """Whether what it stores can be read by those alone who have the key."""
        return bool(self._seal_head)

    def seal(self, key: str, data: bytes) -> bytes:
        """What is stored under `key` for the encoded value `data`."""
        if len(data) >= self._compress_min:
            data = _smaller(data)
        if not (head := self._seal_head):
            return data
        nonce = os.urandom(NONCE_BYTES)
        sealed: bytes = self._ciphers[head].encrypt(nonce, data, self._bound(head, key))
        return head + nonce + sealed

    def open(self, key: str, data: bytes) -> bytes:
        """The encoded value that is stored as `data`. CorruptError, which holds no content, if it does not open."""
        if data.startswith(SEALED):
            data = self._unsealed(key, data)
        if not data.startswith(COMPRESSED):
            return data
        return self._expanded(key, data)

    def is_current(self, data: bytes) -> bool:
        """Whether what is stored is sealed as `seal` seals now: with the active key, or not at all."""
        return data.startswith(self._seal_head or SEALED) == self.seals

    def _unsealed(self, key: str, data: bytes) -> bytes:
        start = 2 + (data[1] if len(data) > 1 else 0)
        head, nonce, sealed = data[:start], data[start : start + NONCE_BYTES], data[start + NONCE_BYTES :]
        if (cipher := self._ciphers.get(head)) is None:
            raise CorruptError(self._no_key(head), key=key)
        from cryptography.exceptions import InvalidTag

        try:
            opened: bytes = cipher.decrypt(nonce, sealed, self._bound(head, key))
        except (InvalidTag, ValueError):  # a nonce that was cut off is a ValueError
            text = "the sealed value does not open: it was changed, cut, or moved here from another key or prefix"
            raise_alone(CorruptError(text, key=key))
        return opened

    def _no_key(self, head: bytes) -> str:
        if not self._ciphers:
            return "the value is encrypted; StateConfig(encryption=StateEncryption(...)) with its key opens it"
        name = head[2:].decode(errors="replace")
        return f"the value is encrypted with the key {name!r}, which StateEncryption.keys does not have"

    def _bound(self, head: bytes, key: str) -> bytes:
        return b"\0".join((head, self._prefix.encode(), key.encode()))

    def _expanded(self, key: str, data: bytes) -> bytes:
        if data[1:2] != ZLIB:
            raise CorruptError("the value is compressed by a method that this version does not know", key=key)
        stream = zlib.decompressobj()
        try:
            value = stream.decompress(memoryview(data)[2:], self._most + 1)
        except zlib.error:
            raise_alone(CorruptError("the compressed value is damaged", key=key))
        if len(value) > self._most:
            raise CorruptError(f"the compressed value has more than max_value_bytes ({self._most:,})", key=key)
        if not stream.eof or stream.unused_data:
            raise CorruptError("the compressed value is cut, or has something behind its end", key=key)
        return value


def _smaller(data: bytes) -> bytes:
    compressed = b"".join((COMPRESSED, ZLIB, zlib.compress(data, LEVEL)))
    return compressed if len(compressed) < len(data) else data


def _head(name: str) -> bytes:
    encoded = name.encode()
    return SEALED + bytes([len(encoded)]) + encoded


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        text = f"encryption of state needs the package cryptography: pip install 'tierstore[{EXTRA}]'"
        raise_alone(ConfigError(text))
    return AESGCM(key)
