"""What a class statement may say: types of fields, kinds, and the order of positional arguments."""

from __future__ import annotations

from typing import Literal

import pytest

from tierstore import codec
from tierstore.records import Record


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
