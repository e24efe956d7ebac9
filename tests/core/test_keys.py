"""The names of what is in L2."""

from __future__ import annotations

import pytest
import redis.crc
from hypothesis import given
from hypothesis import strategies as st

from tierstore._native import slot
from tierstore.backends.redis.cluster import cluster_slot
from tierstore.errors import ValidationError
from tierstore.plan.keys import SLOTS, channel_tag, floor_key, l2_key, l2_keys, lease_key, namespace, slot_tag

TEXT = st.text(max_size=40)


def test_a_key_is_as_documented():
    space = namespace("live-", "database one")
    key = l2_key(space, "schema", "orders@1.0.0")
    number = slot("schema", "orders@1.0.0")
    assert key == f"ts1:{{{space}:{number}}}:schema:orders@1.0.0"
    assert floor_key(key) == f"ts1.floor:{{{space}:{number}}}"
    assert lease_key(key) == f"ts1.lease:{{{space}:{number}}}:schema:orders@1.0.0"


@given(TEXT)
def test_all_of_a_slot_is_in_one_slot_of_a_cluster(text):
    key = l2_key(namespace("", "x"), "schema", text)
    assert len({cluster_slot(name) for name in (key, floor_key(key), lease_key(key))}) == 1
    assert 0 <= int(slot_tag(key)[1:-1].rpartition(":")[2]) < SLOTS


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_cluster_slots_are_those_of_redis(text):
    assert cluster_slot(text) == redis.crc.key_slot(text.encode())


def test_names_of_one_thing_are_never_those_of_another():
    keys = [l2_key("n", "schema", name) for name in ("a", "a:lease", "lease:a", "floor", "")]
    names = [name for key in keys for name in (key, lease_key(key))]
    assert len(set(names) | {floor_key(key) for key in keys}) == len(names) + len({floor_key(key) for key in keys})


def test_two_databases_never_share_a_key():
    assert namespace("p", "one") != namespace("p", "two")
    assert namespace("p", "one") != namespace("q", "one")
    assert channel_tag(namespace("p", "one")) != channel_tag(namespace("p", "two"))


@pytest.mark.parametrize("prefix", ["{", "a}b"])
def test_a_prefix_must_not_move_the_hash_tag(prefix):
    with pytest.raises(ValidationError, match="prefix"):
        namespace(prefix, "one")


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_many_keys_are_those_of_each(texts):
    assert l2_keys("ns", "schema", texts) == [l2_key("ns", "schema", text) for text in texts]
