"""P.3: imports of protobuf sources beside a regular expression and others' parsers. `make bench BENCH=proto`

The trees are those of registries: googleapis-common-protos, grpcio-tools and npm's google-proto-files (`make corpus` fetches it). Our two
rows read every import of every file; the regular expression is compiled once, and finds the lines that begin with `import`, those within
comments and strings too. protoc runs in this process (grpcio-tools) over the first two trees: it parses, links and writes descriptors,
which is the least that it can be asked for. protoxy is not here: 0.7 asks for a protobuf that grpcio-tools does not run
with. `--write` keeps the table in `results/`.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import distribution
from pathlib import Path

import proto_schema_parser.parser
from grpc_tools import _protoc_compiler

from benches import _machine
from benches._paired import Row, table
from tests.house import corpus
from tests.servers.programs import cache_folder
from tierstore.proto import parse_imports, parse_many

ROUNDS = 7
FEW = 40
"""So many files are enough for the slow ones."""
RIVALS = ("grpcio-tools", "proto-schema-parser")
IMPORT = re.compile(rb'^\s*import\s+(?:(?:public|weak)\s+)?"([^"]+)"\s*;', re.MULTILINE)
Work = Callable[[], object]


def packaged() -> tuple[list[str], list[str]]:
    """Folders to import from, and the files of the two Python packages by the names that an import uses."""
    common = distribution("googleapis-common-protos")
    tools = distribution("grpcio-tools").locate_file("grpc_tools/_proto")
    found = {str(file) for file in common.files or [] if file.suffix == ".proto"}
    found |= {str(path.relative_to(str(tools))) for path in Path(str(tools)).rglob("*.proto")}
    return [str(common.locate_file("")), str(tools)], sorted(found)


def sources() -> list[bytes]:
    corpus.main()
    paths = sorted((cache_folder() / "corpus").rglob("*.proto"))
    folders, names = packaged()
    paths += [next(path for folder in folders if (path := Path(folder) / name).exists()) for name in names]
    return [path.read_bytes() for path in paths]


def speeds(contenders: dict[str, tuple[int, Work]]) -> dict[str, float]:
    """MB/s of each, given the bytes that it reads: the median of rounds in which all take their turn."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, (size, work) in contenders.items():
            began = time.perf_counter()
            work()
            found[name].append(size / 1e6 / (time.perf_counter() - began))
    return {name: statistics.median(rates) for name, rates in found.items()}


def size_of(files: Iterable[bytes]) -> int:
    return sum(len(file) for file in files)


def read_all(files: list[bytes]) -> int:
    return sum(found.line for file in parse_many(files) for found in file.imports)


def read_each(files: list[bytes]) -> int:
    return sum(found.line for file in files for found in parse_imports(file).imports)


def protoc(folders: list[str], names: list[str], target: Path) -> None:
    arguments = ["protoc", *(f"-I{folder}" for folder in folders), f"--descriptor_set_out={target}", *names]
    if _protoc_compiler.run_main([argument.encode() for argument in arguments]) != 0:
        raise RuntimeError("protoc refused the files")


def measured(folder: Path) -> list[Row]:
    files = sources()
    folders, names = packaged()
    theirs = size_of(
        (next(path for root in folders if (path := Path(root) / name).exists())).read_bytes() for name in names
    )
    few = files[:: max(1, len(files) // FEW)]
    texts = [file.decode() for file in few]
    parser = proto_schema_parser.parser.Parser()
    rates = speeds(
        {
            "parse_many": (size_of(files), lambda: read_all(files)),
            "parse_imports": (size_of(files), lambda: read_each(files)),
            "re": (size_of(files), lambda: [IMPORT.findall(file) for file in files]),
            "protoc": (theirs, lambda: protoc(folders, names, folder / "set")),
            "proto-schema-parser": (size_of(few), lambda: [parser.parse(text) for text in texts]),
        }
    )
    wanted = {"re": 5.0, "protoc": 20.0, "proto-schema-parser": 100.0}
    ours = rates["parse_many"]
    rows = [Row("P.3", "parse_many, all imports read", f"{ours:,.0f} MB/s", "", None, "≥ 1,500 MB/s", ours >= 1_500)]
    rows += [
        Row(
            "P.3",
            f"parse_many / {name}",
            f"{ours:,.0f} MB/s",
            f"{rates[name]:,.1f} MB/s",
            ours / rates[name],
            f"≥ {times:g} ×",
            ours >= times * rates[name],
        )
        for name, times in wanted.items()
    ]
    each = rates["parse_imports"]
    return [*rows, Row("", "parse_imports, a call a file", f"{each:,.0f} MB/s", "", None, "", None)]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shown = table(measured(Path(folder)))
    print(shown)
    if "--write" in sys.argv:
        _machine.write("proto.md", f"```\n{_machine.header(RIVALS)}\n```\n\n{shown}\n")


if __name__ == "__main__":
    main()
