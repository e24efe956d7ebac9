"""The names of what is in L2."""

from __future__ import annotations

import pytest
import redis.crc
from hypothesis import given
from hypothesis import strategies as st

from tierstore._native import slot
from tierstore.backends.redis.cluster import cluster_slot
from tierstore.errors import ValidationError
from tierstore.plan.invalidate import parse
from tierstore.plan.keys import (
    SLOTS,
    Namespace,
    channel_names,
    floor_key,
    hand_over_key,
    l2_key,
    l2_keys,
    lease_key,
    namespace,
    slot_tag,
)

TEXT = st.text(max_size=40)
SPACE = Namespace("app:", "n")


@pytest.mark.parametrize("prefix", ["", "app:", "ts1:", "live-"])
def test_a_name_is_as_documented(prefix):
    space = namespace(prefix, "database one")
    key = l2_key(space, "schema", "orders@1.0.0")
    tag = f"{{{space.database}:{slot('schema', 'orders@1.0.0')}}}"
    assert key == f"{prefix}ts1:{tag}:schema:orders@1.0.0"
    assert floor_key(key) == f"{prefix}ts1.floor:{tag}"
    assert lease_key(key) == f"{prefix}ts1.lease:{tag}:schema:orders@1.0.0"
    assert hand_over_key(key) == f"{prefix}ts1.handover:{tag}:schema:orders@1.0.0"
    assert parse(key) == ("schema", "orders@1.0.0")
    assert channel_names(space) == tuple(
        f"{prefix}ts1.{what}:{{{space.database}}}" for what in ("channel", "sequence", "pings", "relay")
    )


@given(TEXT)
def test_all_of_a_slot_is_in_one_slot_of_a_cluster(text):
    key = l2_key(namespace("app:", "x"), "schema", text)
    assert len({cluster_slot(name) for name in (key, floor_key(key), lease_key(key), hand_over_key(key))}) == 1
    assert 0 <= int(slot_tag(key)[1:-1].rpartition(":")[2]) < SLOTS


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_cluster_slots_are_those_of_redis(text):
    assert cluster_slot(text) == redis.crc.key_slot(text.encode())


def test_names_of_one_thing_are_never_those_of_another():
    keys = [l2_key(SPACE, "schema", name) for name in ("a", "a:lease", "lease:a", "floor", "")]
    names = [name for key in keys for name in (key, lease_key(key), hand_over_key(key))]
    assert len(set(names) | {floor_key(key) for key in keys}) == len(names) + len({floor_key(key) for key in keys})


def test_two_databases_or_prefixes_never_share_a_name():
    spaces = [namespace(prefix, identity) for prefix in ("", "p", "q") for identity in ("one", "two")]
    for names in ([l2_key(space, "schema", "a") for space in spaces], [*map(channel_names, spaces)]):
        assert len(set(names)) == len(spaces)


@pytest.mark.parametrize("prefix", ["{", "a}b"])
def test_a_prefix_must_not_move_the_hash_tag(prefix):
    with pytest.raises(ValidationError, match="prefix"):
        namespace(prefix, "one")


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_many_keys_are_those_of_each(texts):
    assert l2_keys(SPACE, "schema", texts) == [l2_key(SPACE, "schema", text) for text in texts]
