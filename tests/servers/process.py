"""One server process: started, stopped, paused, resumed and killed by its pid."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.servers import reaper

START_S, STOP_S, POLL_S = 120.0, 15.0, 0.01


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@functools.cache
def _reaper_pipe() -> int:
    read, write = os.pipe()
    command = [sys.executable, "-I", "-S", reaper.__file__]
    os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, read, 0)], setsid=True)
    os.close(read)
    return write


def _tell_reaper(line: str) -> None:
    os.write(_reaper_pipe(), f"{line}\n".encode())


def private_folder(name: str) -> Path:
    """A new folder outside the tree. It goes when the run ends, however it ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"tierstore-{name}-"))
    _tell_reaper(str(folder))
    return folder


class Server:
    """A child process with an address. Subclasses say how it is started, and when it is ready."""

    name = "server"
    stop_signal = signal.SIGTERM
    close_signal = signal.SIGTERM
    """For the last time: its data goes too."""
    user: pwd.struct_passwd | None = None
    """Whom to run as; None is whoever runs the tests."""

    def __init__(self) -> None:
        self.folder = private_folder(self.name)
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Beyond the caller's own."""
        return {}

    def ready(self) -> bool:
        """Whether it answers; called again and again until it does."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, on the same port and data as before, and return when it answers."""
        assert not self.running, f"{self.name} runs already"
        identity = (
            {} if self.user is None else {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=os.environ | self.environment(),
                start_new_session=True,
                **identity,  # type: ignore[arg-type]
            )
        _tell_reaper(f"+{self.pid}")
        self._await_ready()

    def _await_ready(self) -> None:
        until = time.monotonic() + START_S
        while not self.ready():
            if not self.running:
                raise RuntimeError(f"{self.name} ended at its start:\n{self.tail()}")
            if time.monotonic() > until:
                raise RuntimeError(f"{self.name} did not answer within {START_S:.0f} s:\n{self.tail()}")
            time.sleep(POLL_S)

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End it in its own orderly way. Data in its folder stays."""
        self._end(self.stop_signal)

    def _end(self, by: signal.Signals) -> None:
        if self.running:
            self.resume()
            os.kill(self.pid, by)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)  # type: ignore[union-attr]
        self.kill()

    def kill(self) -> None:
        """SIGKILL, to it and to its children: a crash."""
        if self._process is None:
            return
        if self.running:
            reaper.signal_all(reaper.family(self.pid), signal.SIGKILL)
        self._process.wait(STOP_S)
        _tell_reaper(f"-{self.pid}")
        self._process, self._paused = None, False

    def pause(self) -> None:
        """It keeps its connections and answers nothing, until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)
        family = reaper.family(self.pid)
        reaper.signal_all(family, signal.SIGSTOP)
        self._paused = True
        until = time.monotonic() + STOP_S
        while not all(map(_stands_still, family)):  # a signal takes its time where the machine is busy
            assert time.monotonic() < until, f"{self.name} runs on"
            time.sleep(POLL_S)

    def resume(self) -> None:
        if self._paused:
            reaper.signal_all(reaper.family(self.pid)[::-1], signal.SIGCONT)
            self._paused = False

    def restore(self) -> None:
        """Undo what a test did to it, so that the next one finds it running."""
        self.resume()
        if not self.running:
            self.kill()
            self.start()

    def close(self) -> None:
        self._end(self.close_signal)
        shutil.rmtree(self.folder, ignore_errors=True)


def ordinary_user(*names: str) -> pwd.struct_passwd | None:
    """For servers that refuse root: the first of `names` that exists, or None where the tests are not run by root."""
    if os.geteuid() != 0:
        return None
    for name in names:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError(f"no ordinary user to run a server as; add one: useradd --system {names[0]}")


def _stands_still(pid: int) -> bool:
    """Whether every thread of it is stopped, or it is gone."""
    with contextlib.suppress(OSError):
        stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
        return all(text.rpartition(")")[2].split()[0] in "TtZX" for text in stats)
    return True


def listening(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


class Given:
    """A server whose address was given in the environment: it is used as it is, and cannot be stopped."""

    def __init__(self, variable: str) -> None:
        self._variable = variable

    def _refuse(self) -> None:
        raise RuntimeError(f"this test stops its server; unset {self._variable} so that the tests start their own")

    start = stop = kill = pause = resume = _refuse

    def restore(self) -> None:
        return None

    close = restore
