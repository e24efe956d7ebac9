"""Imports of protobuf sources, as protoc's own parser sees them.

    file = parse_imports(b'syntax = "proto3"; import public "google/protobuf/any.proto";')
    file.imports            # [Import(path='google/protobuf/any.proto', kind='public', line=1, column=20)]

A source that protoc's parser refuses is a `ProtoSyntaxError` with the line and column that protoc prints. `strict=True` reads
the inside of every block too; without it a fault of grammar inside a long one may pass (docs/design/proto.md).
"""

from tierstore._native import Import, ProtoFile, parse_imports, parse_many
from tierstore.errors import ProtoSyntaxError

__all__ = ["Import", "ProtoFile", "ProtoSyntaxError", "parse_imports", "parse_many"]
