"""Ctrl-C at every point where CPython looks for signals, one after the other.

A tracer counts the places in the watched files at which the interpreter is about to look: entering a function, after a call, at the end
of a loop's turn. At the n-th it stops tracing and marks SIGINT as received, by a call that looks for no signal itself: so the
interrupt is raised where a real one would be, and nowhere else.
"""

import _thread
import dis
import signal
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

LOOKING = {code for name, code in dis.opmap.items() if name.startswith(("CALL", "JUMP_BACKWARD", "FOR_ITER"))}


class _Signal(int):
    received = property(_thread.interrupt_main)


class Interrupter:
    """Runs a function, and interrupts it at the `at`-th point in code that `watched` is true of."""

    def __init__(self, watched: Callable[[str], bool]) -> None:
        self._watched = watched
        self._known: dict[CodeType, bool] = {}
        self._left = 0
        self.where = ""

    def run(self, function: Callable[[], Any], at: int) -> bool:
        """Whether it was interrupted; False once `at` lies beyond its end."""
        self._left, self.where = at, ""
        try:
            sys.settrace(self._enter)
            try:
                function()
            finally:
                sys.settrace(None)
            for _ in range(2):  # here at the latest it looks
                pass
        except KeyboardInterrupt:
            return True
        return False

    def _enter(self, frame: FrameType, event: str, arg: object) -> Any:
        code = frame.f_code
        watched = self._known.get(code)
        if watched is None:
            watched = self._known[code] = self._watched(code.co_filename)
        if not watched:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "opcode" and frame.f_code.co_code[frame.f_lasti] in LOOKING:
            self._left -= 1
            if self._left == 0:
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
                sys.settrace(None)
                _Signal(signal.SIGINT).received  # noqa: B018  (a call would look for signals when it returns)
        return self._step
