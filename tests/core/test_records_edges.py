"""Records where the interpreter has little left to give: a small stack, and its own end."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

FORMS = {
    "T | None": lambda inner: inner,
    "list[T]": lambda inner: [inner] if inner else [],
    "dict[str, list[T]]": lambda inner: {"a": [inner]} if inner else {},
    "list[tuple[str, T | None]]": lambda inner: [("x", inner)],
    "dict[str, tuple[T | None, ...]]": lambda inner: {"a": (inner,)},
    "dict[str, list[tuple[str, T | None]]]": lambda inner: {"a": [("x", inner)]},
}


@pytest.mark.parametrize("form", FORMS)
def test_sixteen_records_in_one_another_fit_a_small_stack(form):
    code = f"""
import threading
from tierstore import codec
from tierstore.records import Record
T = type(Record)("T", (Record,), {{"__annotations__": {{"held": {form!r}, "size": "int"}}, "__module__": __name__}}, kind=60169)
held = {inspect.getsource(FORMS[form]).partition(": lambda inner: ")[2].rstrip().rstrip(",")!r}
record = None
for size in range(16):
    record = T(eval(held, {{"inner": record}}), size)
def work():
    assert codec.decode(codec.encode(record)) == record and hash(record)
    print("done")
threading.stack_size(65536)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_finaliser_at_the_very_end_gets_its_errors():
    code = """
import builtins
from tierstore import codec, errors
from tierstore.records import Record
class Named(Record, kind=60171):
    name: str
class Late:
    def __init__(self):
        self.keep = (codec, Named, print, BaseException, type)
    def __del__(self):
        codec, Named, print, BaseException, type = self.keep
        for fail in (
            lambda: codec.decode(b"x" * 40), lambda: codec.msgpack_decode(b"\\xc1"), lambda: codec.encode(Named(1)),
            lambda: Named("n").nothing, lambda: codec.msgpack_encode(object()),
        ):
            try:
                fail()
            except BaseException as error:
                print(type(error).__name__)
builtins.late = Late()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "panicked" not in done.stderr
    assert len(done.stdout.split()) == 5
