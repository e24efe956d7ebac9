"""Ctrl-C at every point where CPython looks for signals, one after the other.

A tracer counts the places in the watched files at which the interpreter is about to look: entering a function, after a call, at the end
of a loop's turn. At the n-th it stops tracing and marks SIGINT as received, by a call that looks for no signal itself: so the
interrupt is raised where a real one would be, and nowhere else.
"""

import _thread
import dis
import signal
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

LOOKING = {code for name, code in dis.opmap.items() if name.startswith(("CALL", "JUMP_BACKWARD", "FOR_ITER"))}
HAS_MONITORING = sys.version_info >= (3, 12)
TOOL = 4
"""Of the six that `sys.monitoring` has room for: no debugger's or profiler's."""


class _Signal(int):
    received = property(_thread.interrupt_main)


class _Counter:
    """Counts down at each place where the interpreter is about to look, in this thread; at the last it interrupts."""

    def __init__(self, watched: Callable[[str], bool]) -> None:
        self._watched = watched
        self._places: dict[CodeType, frozenset[int]] = {}
        self.left = 0
        self.where = ""

    def places(self, code: CodeType) -> frozenset[int]:
        """The offsets at which this code is about to look; none in a file that is not watched."""
        found = self._places.get(code)
        if found is None:
            all_of_it = enumerate(code.co_code) if self._watched(code.co_filename) else ()
            found = frozenset(offset for offset, byte in all_of_it if offset % 2 == 0 and byte in LOOKING)
            self._places[code] = found
        return found

    def _is_last(self, code: CodeType, line: int) -> bool:
        self.left -= 1
        if self.left == 0:
            self.where = f"{code.co_filename}:{line} {code.co_name}"
        return self.left == 0


class _Traced(_Counter):
    """By `sys.settrace`, which from Python 3.13.0 on forgets to trace the instructions of code that it has traced before."""

    def start(self) -> None:
        sys.settrace(self._enter)

    def stop(self) -> None:
        sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, arg: object) -> Any:
        if not self.places(frame.f_code):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, frame: FrameType, event: str, arg: object) -> Any:
        if (
            event == "opcode"
            and frame.f_lasti in self.places(frame.f_code)
            and self._is_last(frame.f_code, frame.f_lineno)
        ):
            sys.settrace(None)
            _Signal(signal.SIGINT).received  # noqa: B018  (a call would look for signals when it returns)
        return self._step


class _Monitored(_Counter):
    """By `sys.monitoring`."""

    def start(self) -> None:
        self._thread = threading.get_ident()
        sys.monitoring.use_tool_id(TOOL, "interrupts")
        sys.monitoring.register_callback(TOOL, sys.monitoring.events.INSTRUCTION, self._step)
        sys.monitoring.restart_events()
        sys.monitoring.set_events(TOOL, sys.monitoring.events.INSTRUCTION)

    def stop(self) -> None:
        sys.monitoring.set_events(TOOL, 0)
        sys.monitoring.free_tool_id(TOOL)

    def _step(self, code: CodeType, offset: int) -> Any:
        if offset not in self.places(code):
            return sys.monitoring.DISABLE
        if threading.get_ident() == self._thread and self._is_last(code, code.co_firstlineno):
            sys.monitoring.set_events(TOOL, 0)
            _Signal(signal.SIGINT).received  # noqa: B018  (as above)
        return None


class Interrupter:
    """Runs a function, and interrupts it at the `at`-th point in code that `watched` is true of."""

    def __init__(self, watched: Callable[[str], bool]) -> None:
        self._counter = _Monitored(watched) if HAS_MONITORING else _Traced(watched)

    @property
    def where(self) -> str:
        return self._counter.where

    def run(self, function: Callable[[], Any], at: int) -> bool:
        """Whether it was interrupted; False once `at` lies beyond its end."""
        self._counter.left, self._counter.where = at, ""
        try:
            self._counter.start()
            try:
                function()
            finally:
                self._counter.stop()
            for _ in range(2):  # here at the latest it looks
                pass
        except KeyboardInterrupt:
            return True
        return False
