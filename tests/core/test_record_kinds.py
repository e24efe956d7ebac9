"""What a class statement may say: types of fields, kinds, and the order of positional arguments."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import ClassVar, Literal

import pytest

from tierstore import codec
from tierstore.records import Record, removed


def test_a_literal_is_kept_as_the_type_of_its_values():
    class Lamp(Record, kind=60190):
        colour: Literal["red", "green"]
        level: Literal[1, 2, 3] | None = None

    received = codec.decode(codec.encode(Lamp("red", 2)))
    assert received == Lamp("red", 2)
    assert codec.decode(codec.encode(Lamp("blue", 4))).colour == "blue"


@pytest.mark.parametrize("values", [(1, "a"), (True,), (None, "a")])
def test_a_literal_of_mixed_types_is_refused(values):
    annotation = Literal.__getitem__(values)
    with pytest.raises(TypeError, match="must all be str or all be int"):
        type(Record)("Mixed", (Record,), {"__annotations__": {"held": annotation}, "__module__": __name__})


# Kinds


def declare(name: str, kind: object, module: str = __name__, **options) -> type[Record]:
    """A class of that name in the outermost scope of `module`."""
    namespace = {"__annotations__": {"id": "str"}, "__module__": module, "__qualname__": name}
    return type(Record)(name, (Record,), namespace, kind=kind, **options)


def test_a_kind_that_another_class_has_is_refused():
    declare("First", 60191)
    with pytest.raises(TypeError) as refused:
        declare("Second", 60191)
    parts = (f"{__name__}.First", f"{__name__}.Second", "60191", "another number", "replaces=First")
    assert [part for part in parts if part not in str(refused.value)] == []


def test_a_refused_class_leaves_the_kind_to_its_holder():
    first = declare("Holder", 60192)
    with pytest.raises(TypeError):
        declare("Intruder", 60192)
    assert type(codec.decode(codec.encode(first("a")))) is first


def test_the_same_class_declared_again_takes_its_kind_over():
    before, after = declare("Again", 60193), declare("Again", 60193)
    assert type(codec.decode(codec.encode(before("a")))) is after
    assert type(before.from_bytes(codec.encode(after("a")))) is before


def test_a_function_may_be_called_again():
    def make():
        class Local(Record, kind=60194):
            id: str

        return Local

    make()
    latest = make()
    assert type(codec.decode(codec.encode(latest("a")))) is latest


def test_the_main_module_and_an_import_of_its_file_are_one(monkeypatch):
    """`python models.py`, where something imports `models`."""
    for name in ("run_as_main", "models_imported"):
        monkeypatch.setitem(sys.modules, name, module := ModuleType(name))
        module.__file__ = "models.py"
    declare("Model", 60195, "run_as_main")
    latest = declare("Model", 60195, "models_imported")
    assert type(codec.decode(codec.encode(latest("a")))) is latest


def test_a_class_takes_the_place_of_the_one_that_it_names():
    old = declare("Old", 60196)
    new = declare("New", 60196, revision=2, oldest_reader=1, replaces=old)
    assert type(codec.decode(codec.encode(old("a")))) is new
    with pytest.raises(TypeError, match=r"belongs to .*\.New"):
        declare("Third", 60196, replaces=declare("Stranger", 60197))


@pytest.mark.parametrize("kind", [0xF000, 0xF001, 65_534])
def test_the_librarys_kinds_are_reserved(kind):
    with pytest.raises(TypeError, match=rf"{kind} is reserved for tierstore; use a number from 0 to 61439"):
        declare("Mine", kind)


def test_a_record_of_the_library_takes_no_kind_of_its_users():
    with pytest.raises(TypeError, match="from 61440 to 65534, got 4"):
        declare("Ours", 4, "tierstore.stores.ours")


@pytest.mark.parametrize("kind", [-1, 65_535, 1 << 40])
def test_a_kind_out_of_range_is_refused(kind):
    with pytest.raises(TypeError, match=rf"from 0 to 61439, got {kind}"):
        declare("Mine", kind)


@pytest.mark.parametrize("kind", [True, "1", 1.0])
def test_a_kind_is_int(kind):
    with pytest.raises(TypeError, match=f"must be int, not {type(kind).__name__}"):
        declare("Mine", kind)


def test_a_users_first_kind_is_not_one_of_the_library(tmp_path):
    """What the store reads back is its own, whatever a user declared."""
    code = (
        "import tierstore\n"
        "class Mine(tierstore.Record, kind=1):\n    name: str\n"
        "class Other(tierstore.Record, kind=0):\n    name: str\n"
        "for round in (1, 2):\n"
        "    with tierstore.blocking.open('data') as store:\n"
        "        schema = store.schemas.register('orders', '1.0.0', b'{}')\n"
        "        print(type(store.schemas.get(schema.id)).__name__)\n"
        "        print(type(store.schemas.get_latest('orders')).__name__)\n"
        "print(tierstore.codec.decode(tierstore.codec.encode(Mine('x'))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["Schema"] * 4 + ["Mine(name='x')"], done.stderr


# The order of positional arguments


def test_a_subclass_takes_its_bases_fields_in_the_order_of_their_declaration():
    class Base(Record, kind=60198):
        id: str
        body: bytes = b""
        note: str | None = None

    class Sub(Base, kind=60199):
        extra: str = "e"

    class Third(Sub):
        last: bytes = b""

    assert Sub.__match_args__ == ("id", "body", "note", "extra")
    assert Sub("a", b"B", "N") == Sub(id="a", body=b"B", note="N", extra="e")
    assert Third("a", b"B", "N", "E", b"L").note == "N"
    assert codec.decode(codec.encode(Sub("a", b"B", "N"))) == Sub("a", b"B", "N")


def test_a_field_that_is_declared_again_keeps_its_place():
    class Base(Record):
        id: str
        note: str | None = None

    class Sub(Base):
        extra: int = 0
        id: str

    assert Sub("a", "N", 5).extra == 5


def test_a_subclass_that_would_move_its_bases_arguments_is_refused():
    class Base(Record):
        id: str
        body: bytes = b""
        note: str = ""

    with pytest.raises(TypeError) as refused:

        class Less(Base):
            body: ClassVar = removed(bytes, default=b"")

    assert all(part in str(refused.value) for part in ("Less", "Base", "(id, body, note)", "(id, note)"))

    class One(Record):
        a: str
        b: str

    class Two(Record):
        b: str
        a: str

    with pytest.raises(TypeError, match=r"One are \(a, b\), and here they are \(b, a\)"):

        class Both(One, Two):
            pass
