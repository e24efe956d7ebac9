"""protoc from grpcio-tools as the judge of the parser: its descriptor where it accepts, its first error where not."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import Edition, FileDescriptorProto, FileDescriptorSet

DEPENDENCY, OPTION_DEPENDENCY = 3, 15
WELL_KNOWN = str(files("grpc_tools") / "_proto")
ERROR = re.compile(r"^[^\n:]+:(\d+):(\d+): (?!warning)(.*)$", re.MULTILINE)

Found = tuple[str, str, int, int]


@dataclass(frozen=True)
class Verdict:
    """What protoc says of one file; `error` is (line, column, text), None where it accepts."""

    imports: list[Found]
    package: str
    syntax: str
    edition: str | None
    error: tuple[int, int, str] | None


def descriptors(folders: list[str], names: list[str], work: Path) -> dict[str, FileDescriptorProto]:
    """The descriptors of `names`, all of which protoc accepts, by name."""
    output = work / "descriptors"
    roots = [f"-I{folder}" for folder in folders]
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        *roots,
        "--include_source_info",
        f"--descriptor_set_out={output}",
    ]
    subprocess.run([*command, *names], check=True, capture_output=True)
    return {file.name: file for file in FileDescriptorSet.FromString(output.read_bytes()).file}


def judge(source: bytes, folder: Path) -> Verdict:
    """protoc's verdict on `source`; files that it imports lie in `folder`."""
    (folder / "main.proto").write_bytes(source)
    output = folder / "main.descriptor"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"-I{WELL_KNOWN}", "--include_source_info"]
    options = ["--experimental_editions", f"--descriptor_set_out={output.name}"]
    run = subprocess.run([*command, *options, "main.proto"], cwd=folder, capture_output=True)
    if run.returncode == 0:
        return verdict(FileDescriptorSet.FromString(output.read_bytes()).file[-1])
    match = ERROR.search(run.stderr.decode("utf-8", "replace"))
    assert match, run.stderr
    return Verdict([], "", "", None, (int(match[1]), int(match[2]), match[3]))


def verdict(file: FileDescriptorProto) -> Verdict:
    """A descriptor with source locations as what `parse_imports` answers."""
    starts = {tuple(place.path): (place.span[0] + 1, place.span[1] + 1) for place in file.source_code_info.location}
    found = []
    for index, path in enumerate(file.dependency):
        kind = "public" if index in file.public_dependency else "weak" if index in file.weak_dependency else "plain"
        found.append((path, kind, *starts[(DEPENDENCY, index)]))
    for index, path in enumerate(file.option_dependency):
        found.append((path, "option", *starts[(OPTION_DEPENDENCY, index)]))
    found.sort(key=lambda entry: entry[2:])
    edition = Edition.Name(file.edition).removeprefix("EDITION_") if file.syntax == "editions" else None
    return Verdict(found, file.package, file.syntax or "proto2", edition, None)
