"""An HTTP proxy in front of one server that spoils what the test asks it to: for what a TCP proxy cannot do, such as a wrong body."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """What the server answered. `body` may be shortened below what the headers promise: the connection is then closed."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


Fault = Callable[[str, str, Reply], Reply]
"""Of method, path and the true reply, what the client gets."""


@dataclass
class Proxy:
    """`faults` are used up one a request, in order; without one the true reply passes. `seen` lists what was asked."""

    port: int
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def cut_body(to: int) -> Fault:
    """The reply ends after `to` bytes of its body, and the connection is closed."""
    return lambda method, path, reply: Reply(reply.status, reply.headers, reply.body[:to])


def instead(status: int, code: str) -> Fault:
    """The server did what was asked, and the client hears an error."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
    return lambda method, path, reply: Reply(status, [("Content-Length", str(len(body)))], body)


def _handler(target_port: int, proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy.seen.append(f"{self.command} {self.path}")
            reply = self._ask(body)
            if proxy.faults:
                reply = proxy.faults.pop(0)(self.command, self.path, reply)
            self._answer(reply)

        def _ask(self, body: bytes) -> Reply:
            connection = http.client.HTTPConnection("127.0.0.1", target_port, timeout=30)
            with contextlib.closing(connection):
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("connection", "expect"):
                        connection.putheader(name, value)
                connection.endheaders(body)
                response = connection.getresponse()
                return Reply(response.status, response.getheaders(), response.read())

        def _answer(self, reply: Reply) -> None:
            self.send_response_only(reply.status)
            for name, value in reply.headers:
                if name.lower() not in ("connection", "transfer-encoding", "keep-alive"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
            promised = int(dict(reply.headers).get("Content-Length", len(reply.body)))
            self.close_connection = self.command != "HEAD" and promised > len(reply.body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass_on  # noqa: N815  (as http.server looks for them)

        def log_message(self, *arguments: object) -> None:
            return None

    return Handler


@contextlib.contextmanager
def http_proxy(target_port: int) -> Iterator[Proxy]:
    """In front of 127.0.0.1:`target_port`. The Host header passes unchanged, so that signatures hold."""
    proxy = Proxy(0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(target_port, proxy))
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
