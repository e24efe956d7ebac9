"""What a real server does not do on demand: a link that misbehaves, and a server that refuses everything in one way."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import hiredis

CHUNK = 65_536
REAL = "real"


class _Listener:
    """Accepts on a loopback port and serves each connection in a thread of its own, until closed."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = [self._socket]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self._open.append(client)
                threading.Thread(target=self._guarded, args=(client,), daemon=True).start()

    def _guarded(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            self.serve(client)

    def serve(self, client: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class BadLink(_Listener):
    """Stands between a client and a server. `answers` does what it likes with the server's bytes; by default it passes them on."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.answers: Callable[[socket.socket, bytes], None] = socket.socket.sendall
        self.connections = 0
        super().__init__()

    def serve(self, client: socket.socket) -> None:
        self.connections += 1
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            self._open.append(server)
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
            while received := server.recv(CHUNK):
                self.answers(client, received)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while received := client.recv(CHUNK):
                server.sendall(received)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def black_hole(self) -> None:
        """Requests arrive, answers do not."""
        self.answers = lambda client, received: None

    def slices(self, pause_s: float) -> None:
        """One byte at a time."""

        def send(client: socket.socket, received: bytes) -> None:
            for at in range(len(received)):
                client.sendall(received[at : at + 1])
                time.sleep(pause_s)

        self.answers = send

    def late(self, pause_s: float) -> None:
        def send(client: socket.socket, received: bytes) -> None:
            time.sleep(pause_s)
            client.sendall(received)

        self.answers = send

    def breaks_in_a_reply(self) -> None:
        """The first half, and then the end."""

        def send(client: socket.socket, received: bytes) -> None:
            client.sendall(received[: len(received) // 2])
            client.shutdown(socket.SHUT_RDWR)

        self.answers = send

    def heals(self) -> None:
        self.answers = socket.socket.sendall


class Refuser(_Listener):
    """Greets like a server, then answers every other command with `error`."""

    def __init__(
        self, error: str, *, info: str = "run_id:" + "ab" * 20 + "\r\nrole:master\r\nredis_version:7.0.0\r\n"
    ) -> None:
        self.error = error
        self._info = info.encode()
        super().__init__()

    def serve(self, client: socket.socket) -> None:
        reader = hiredis.Reader()
        while received := client.recv(CHUNK):
            reader.feed(received)
            while (words := reader.gets()) is not False:
                client.sendall(self._answer(words))

    def _answer(self, words: Any) -> bytes:
        if words[0] == b"INFO":
            return b"$%d\r\n%s\r\n" % (len(self._info), self._info)
        if words[0] in (b"CLIENT", b"SELECT"):
            return b"+OK\r\n"
        return f"-{self.error}\r\n".encode()
