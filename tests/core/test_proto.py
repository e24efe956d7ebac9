"""`parse_imports` and `parse_many` as Python sees them: what goes in, what comes out, and that nothing breaks them."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tierstore
from tests.core.proto_seeds import SEEDS, mutant
from tierstore.errors import ValidationError
from tierstore.proto import Import, ProtoFile, ProtoSyntaxError, parse_imports, parse_many

SOURCE = b'syntax = "proto3";\npackage a.b;\nimport public "x.proto";\n\timport \'y.proto\';\nmessage M {}\n'


def test_the_answer() -> None:
    file = parse_imports(SOURCE)
    assert (file.package, file.syntax, file.edition) == ("a.b", "proto3", None)
    assert [(i.path, i.kind, i.line, i.column) for i in file.imports] == [
        ("x.proto", "public", 3, 1),
        ("y.proto", "plain", 4, 9),
    ]
    assert repr(file.imports[0]) == "Import(path='x.proto', kind='public', line=3, column=1)"
    assert repr(file).startswith("ProtoFile(package='a.b', syntax='proto3', edition=None, imports=[Import(")


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview, lambda source: source.decode()])
def test_any_form_of_a_source(form: object) -> None:
    assert parse_imports(form(SOURCE)) == parse_imports(SOURCE)  # type: ignore[operator]


def test_answers_are_values() -> None:
    one, other = parse_imports(SOURCE), parse_imports(SOURCE)
    assert one == other
    assert hash(one) == hash(other)
    assert one.imports == other.imports
    assert len({*one.imports, *other.imports}) == 2
    assert one != parse_imports(SOURCE + b'import "z.proto";')
    assert one != 1
    assert one.imports[0] != "x.proto"
    one.imports.clear()
    assert len(one.imports) == 2


def test_the_module_is_reached_by_the_package() -> None:
    assert tierstore.proto.parse_imports is parse_imports
    assert {type(parse_imports(SOURCE)), type(parse_imports(SOURCE).imports[0])} == {ProtoFile, Import}


def test_a_fault_has_its_place() -> None:
    with pytest.raises(ProtoSyntaxError, match="Expected a string naming the file to import") as refused:
        parse_imports(b"\n  import x;")
    error = refused.value
    assert (error.line, error.column, error.place) == (2, 10, "line 2, column 10")
    assert isinstance(error, ValidationError)
    assert isinstance(error, tierstore.ProtoSyntaxError)


def test_bytes_of_a_path_that_are_not_utf8_come_back() -> None:
    found = parse_imports(b'import "caf\xe9.proto";').imports[0].path
    assert found.encode("utf-8", "surrogateescape") == b"caf\xe9.proto"
    assert parse_imports(f'import "{found}";').imports[0].path == found
    with pytest.raises(ValidationError):
        parse_imports('import "\ud800";')


def test_what_is_no_source() -> None:
    for wrong in (None, 1, ["x"]):
        with pytest.raises(TypeError):
            parse_imports(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        parse_many([SOURCE, None])  # type: ignore[list-item]
    assert parse_many([]) == []


def test_a_fault_inside_a_long_block_needs_strict() -> None:
    fields = b"".join(b"string field_%d = %d;\n" % (i, i) for i in range(1, 100))
    source = b'syntax = "proto3";\nmessage M {\n%s int32 = 1; }\nimport "a.proto";\n' % fields
    assert [found.path for found in parse_imports(source).imports] == ["a.proto"]
    with pytest.raises(ProtoSyntaxError) as refused:
        parse_imports(source, strict=True)
    assert (refused.value.line, refused.value.column) == (102, 8)
    for broken in (b"}", b'"', b"/*", b"\x00", b"\xc3\xa9"):
        with pytest.raises(ProtoSyntaxError):
            parse_imports(source.replace(b"int32 = 1;", broken))


def test_groups_nest_without_a_bound() -> None:
    deep = b"optional group G = 1 {" * 50_000
    source = b'syntax = "proto2"; message M {' + deep + b"}" * 50_001 + b'import "a.proto";'
    assert [found.path for found in parse_imports(source, strict=True).imports] == ["a.proto"]
    with pytest.raises(ProtoSyntaxError, match="missing '}'"):
        parse_imports(source[:-20_000], strict=True)


@given(st.one_of(st.binary(max_size=200), st.text(alphabet='import "/*{};=a\n\\\x00é', max_size=80).map(str.encode)))
def test_any_bytes_are_answered(source: bytes) -> None:
    for strict in (False, True):
        (answer,) = parse_many([source], strict=strict)
        assert isinstance(answer, ProtoFile | ProtoSyntaxError)


def test_what_strict_accepts_reads_the_same_without() -> None:
    rng = random.Random(5)
    sources = [*SEEDS, *(mutant(rng) for _ in range(3000))]
    for source, strict, lax in zip(sources, parse_many(sources, strict=True), parse_many(sources), strict=True):
        if isinstance(strict, ProtoFile):
            assert lax == strict, source
        elif isinstance(lax, ProtoSyntaxError):
            assert str(lax) == str(strict), source


def test_other_threads_run_meanwhile() -> None:
    sources = [SOURCE * 1000] * 200
    answers: list[list[object]] = []
    threads = [threading.Thread(target=lambda: answers.append(list(parse_many(sources)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert all(len(answer) == len(sources) for answer in answers)
