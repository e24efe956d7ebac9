"""Protobuf sources that use all of the grammar, and a maker of mutants from them."""

from __future__ import annotations

import random
import re

PROTO2 = rb"""syntax = "proto2";
package a.b;
import "a.proto"; import public 'b.proto'; import weak "c.proto";
option java_package = "x" 'y'; option (my.ext).foo.(.bar) = -1.5e3; option agg = { a: 1 b { c: "}" } d < > };
option x = -inf; option y = 18446744073709551616;
message M {
  option z = true; required int32 a = 1 [default = -5, json_name = "q", deprecated = true];
  optional string s = 2 [default="a" 'b']; repeated group G = 3 { optional bool x = 1 [default=true]; }
  map<string, M> m = 4; oneof o { option (x) = 1; int32 z = 5; group H = 6 { } }
  extensions 100 to 199, 500, 1000 to max [verification = UNVERIFIED, declaration = {number: 100}];
  reserved 10, 12 to 14, 90 to max; reserved "foo", "bar"; extend M { optional float f = 100 [default = 0x10]; }
  enum E { A = 0; B = -1 [deprecated = true]; reserved -5 to -2, 9, 11 to max; option allow_alias = true; C = 0x0; ; }
  message N { } ; optional map mm = 77; optional .a.b.M q = 8; optional uint32 u = 9 [default = 4294967295];
  optional bytes by = 30 [default = "\377\x01\n"]; optional double d = 31 [default = nan];
}
service S { option deprecated = true; rpc F(M) returns (stream M);
  rpc G(stream .a.b.M) returns (M) { option deprecated = true; ; } ; }
extend M { repeated int64 ext = 150; optional group Gx = 151 { } }
"""
EDITION = rb"""edition = "2024";
package p; import "a.proto"; import public "b.proto"; import option "c.proto";
option features.field_presence = IMPLICIT;
export message M { reserved foo, bar; reserved 5; int32 a = 1 [features.field_presence = EXPLICIT];
  local enum E { X = 0; reserved q, r; } repeated string s = 2; local message Q {} oneof x { string y = 3; }
  map<int32, bytes> m = 4; }
local enum F { Z = 0; }
"""
SEEDS = [
    PROTO2,
    EDITION,
    b'\xef\xbb\xbfsyntax = "proto3"; import "a.proto";',
    b"\xef",
    b'syntax="proto3";' + b"message A{" * 31 + b"}" * 31,
    b'syntax="proto3";' + b"message A{" * 32 + b"}" * 32,
    b'syntax="proto2"; message M {' + b"optional group G = 1 {" * 60 + b"}" * 61,
    b'syntax="proto3"; message M { option map_entry = true; int32 a = 1; }',
    b'syntax="proto3"; enum E { option allow_alias = false; A=0; }',
    b'syntax="proto3"; enum E { option allow_alias = true; A=0; B=1; }',
    b'syntax = "proto3";\n\timport\t"a.proto";\t/* \t x */ import "b.proto";\n  \t  import "c.proto";',
]
TOKEN = re.compile(rb"//[^\n]*|/\*.*?\*/|\w+|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\s+|.", re.DOTALL)
WORDS = rb"""import message enum option extend { } ; = [ ] ( ) < > , . - "a.proto" ' " 1 0x1F 017 08 1.5 .5 1e 1e5 1.2.3 0x abc
    group map oneof reserved to max default inf nan true stream rpc returns required optional repeated public weak export local
    package syntax edition extensions service json_name /* */ // / # @ "\q" "\x" "\u12" "\U00200000" "\400" 99999999999
    0xFFFFFFFFFFFFFFFFFF 2147483647 2147483648 int32 string bool bytes float map_entry allow_alias a.1 1a _x"""
POOL = [*WORDS.split(), b"\n", b"\t", b"\x00", b"\x01", b"\x7f", b"\xc3\xa9", b"\r", b" "]


def mutant(rng: random.Random) -> bytes:
    """A seed with one to five tokens removed, doubled, replaced or swapped, or with its end cut off."""
    tokens = TOKEN.findall(rng.choice(SEEDS))
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = rng.randrange(len(tokens))
        match rng.randrange(6):
            case 0:
                tokens[at] = b""
            case 1:
                tokens.insert(at, rng.choice(POOL))
            case 2:
                tokens[at] = rng.choice(POOL)
            case 3:
                tokens.insert(at, rng.choice(tokens))
            case 4:
                other = rng.randrange(len(tokens))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case _:
                tokens = tokens[: at + 1]
    return b"".join(tokens)
