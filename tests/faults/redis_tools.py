"""A key/value driver over a real server, for tests that break the server."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.clock import BUSY_S
from tierstore.backends import Change, Fill, Lease
from tierstore.backends.redis.key_value import HARD_TIMEOUT_S, SOFT_TIMEOUT_S, RedisKeyValue, route
from tierstore.errors import StorageError
from tierstore.plan.keys import Namespace, l2_key

TOKEN, OTHER = b"token-0000000001", b"token-0000000002"
PATIENT_S, RECOVERY_S = 5.0, 8.0
NOISE_S = BUSY_S
"""What a busy test machine may add to a time that is measured. Without a budget of its own a call would take PATIENT_S."""


def certificate(folder: Path) -> tuple[str, tuple[str, ...]]:
    """A certificate for 127.0.0.1 that signed itself: its file, and what a Redis server has to know of it."""
    key, made = folder / "key.pem", folder / "certificate.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2")
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", made, *subject)
    subprocess.run(command, check=True, capture_output=True)
    files = ("tls-cert-file", str(made), "tls-key-file", str(key), "tls-ca-cert-file", str(made))
    return str(made), (*files, "tls-auth-clients", "no")


class Outcome(NamedTuple):
    value: Any
    error: StorageError | None
    took_s: float


class Client:
    """Calls of one driver by short names; `timed` tells what a call came to and how long it took."""

    def __init__(self, face: Any, *, patient: bool = False, **where: Any) -> None:
        budgets = (PATIENT_S, PATIENT_S) if patient else (SOFT_TIMEOUT_S, HARD_TIMEOUT_S)
        self.face = face
        self.runtime = face.runtime()
        self.driver = RedisKeyValue(
            self.runtime, route(self.runtime, **where), soft_timeout_s=budgets[0], hard_timeout_s=budgets[1]
        )
        self._namespace = Namespace("", os.urandom(6).hex())

    def key(self, name: object) -> str:
        return l2_key(self._namespace, "schema", str(name))

    def run(self, method: str, *arguments: Any, **named: Any) -> Any:
        async def call() -> Any:
            deadline = self.runtime.deadline(PATIENT_S)
            return await getattr(self.driver, method)(*arguments, **named, deadline=deadline)

        return self.face.run(call)

    def timed(self, method: str, *arguments: Any, **named: Any) -> Outcome:
        began = time.monotonic()
        value = error = None
        try:
            value = getattr(self, method)(*arguments, **named)
        except StorageError as raised:
            error = raised
        return Outcome(value, error, time.monotonic() - began)

    def get(self, *names: object) -> list[bytes | None]:
        return self.run("get_many", [self.key(name) for name in names])

    def lease(self, name: object, *, token: bytes = TOKEN, lease_ms: int = 60_000) -> Lease:
        return self.run("lease_many", [self.key(name)], token=token, lease_ms=lease_ms)[0]

    def fill(self, name: object, value: bytes, *, seeding: bool, as_of: int = 100, token: bytes = TOKEN) -> bool:
        fill = Fill(self.key(name), token, value, 1, 1, as_of, as_of, seeding, 60_000)
        return self.run("fill_many", [fill])[0]

    @contextmanager
    def patiently(self) -> Iterator[None]:
        """What is called here has the time that a busy machine may take. For what is about something else than time."""
        driver, budgets = self.driver, (self.driver._soft_s, self.driver._hard_s)
        driver._soft_s = driver._hard_s = PATIENT_S
        try:
            yield
        finally:
            driver._soft_s, driver._hard_s = budgets

    def load(self, name: object, value: bytes) -> bool:
        with self.patiently():
            return self.fill(name, value, seeding=self.lease(name).seeding)

    def invalidate(self, *names: object, floor: int = 200) -> None:
        self.run("invalidate", [Change(self.key(name), 1) for name in names], floor=floor)

    def identity(self) -> str:
        return self.run("identity")

    def until_it_answers(self, *names: object) -> list[bytes | None]:
        """Read again and again until the driver has found its server again."""
        end = time.monotonic() + RECOVERY_S
        while True:
            outcome = self.timed("get", *(names or ("nothing",)))
            if outcome.error is None:
                return outcome.value
            if time.monotonic() > end:
                raise outcome.error
            self.face.run(self.runtime.sleep, 0.02)

    def close(self) -> None:
        self.run("close")
