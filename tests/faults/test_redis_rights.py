"""An account at Redis that lacks a right is told which one, at the opening and by health; a primary that may lose writes is named."""

from __future__ import annotations

import logging
import os
import re
from importlib import resources

import pytest
import redis

from tests.faults.redis_tools import PATIENT_S
from tierstore.backends.redis.diagnosis import of_the_cache
from tierstore.backends.redis.pairs import RedisPairs
from tierstore.backends.redis.state.rights import of_state
from tierstore.config import Config, RedisConfig, SentinelConfig
from tierstore.errors import ConfigError
from tierstore.plan.keys import channel_names, floor_key, hand_over_key, l2_key, lease_key, namespace
from tierstore.store import Store
from tierstore.telemetry import OFF

USER, PASSWORD, PREFIX = "limited", "only-for-tests", "app:"
ENOUGH_FOR_STATE = "~app:* -@all +@connection +@read +@write +@scripting +@transaction +info +time +dbsize"
ENOUGH = "~app:* &app:* -@all +@connection +@read +@write +@scripting +@pubsub +info"
COMMANDS = [
    *("EVALSHA", "EVAL", "MGET", "GET", "GETRANGE", "SET", "DEL", "HGET", "HMGET", "HSET", "HINCRBY"),
    *("RPUSH", "EXPIRE", "LTRIM", "LPOP", "PUBLISH", "SUBSCRIBE"),
]


@pytest.fixture
def account(redis_server):
    """`account(*rules)`: the address for one that has these rules and no others."""
    with redis.Redis(port=redis_server.port) as server:

        def make(*rules):
            start = ("reset", "on", f">{PASSWORD}", "resetkeys", "resetchannels")
            server.execute_command("ACL", "SETUSER", USER, *start, *" ".join(rules).split())
            return f"redis://{USER}:{PASSWORD}@127.0.0.1:{redis_server.port}"

        yield make
        server.execute_command("ACL", "DELUSER", USER)


def told(own):
    own.driver._prefix = PREFIX
    return own.face.run(lambda: own.driver.warnings(own.runtime.deadline(PATIENT_S)))


def test_an_account_with_all_rights_is_told_nothing(client, account, redis_server):
    assert told(client(url=account(ENOUGH), patient=True)) == []
    with redis.Redis(port=redis_server.port) as server:
        assert server.keys("*rights*") == [], "what was tried has left nothing behind"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_that_is_missing_is_named(client, account, command):
    (text,) = told(client(url=account(ENOUGH, f"-{command.lower()}"), patient=True))
    assert text == f"the account 'limited' at Redis may not run {command}: grant +{command.lower()}"


def test_a_channel_that_may_not_be_used_is_named(client, account):
    channels = told(client(url=account(ENOUGH, "resetchannels &other:*"), patient=True))
    assert channels == ["the account 'limited' at Redis may not use the channel app:ts1.channel:*: grant &app:*"]


def families():
    """How each family of keys begins, as the tiers name them."""
    space = namespace(PREFIX, "a database")
    value = l2_key(space, "schema", "1")
    kept = [value, lease_key(value), hand_over_key(value), floor_key(value), *channel_names(space)[1:]]
    return [key.partition("{")[0] for key in kept]


@pytest.mark.parametrize("family", families())
def test_each_family_of_keys_that_may_not_be_used_is_named(client, account, family):
    others = " ".join(f"~{other}*" for other in families() if other != family)
    keys = told(client(url=account(ENOUGH, f"resetkeys {others}"), patient=True))
    assert keys == [f"the account 'limited' at Redis may not use the keys {family}*: grant ~app:*"]


@pytest.mark.parametrize(
    ("folder", "trials"),
    [
        ("tierstore.backends.redis", of_the_cache(PREFIX)),
        ("tierstore.backends.redis.state", [*of_state(PREFIX, single=True), *of_state(PREFIX, single=False)]),
    ],
)
def test_all_that_scripts_run_is_tried(folder, trials):
    """What a script calls needs a right of its own."""
    texts = [script.read_text("utf-8") for script in resources.files(folder).joinpath("lua").iterdir()]
    called = {command for text in texts for command in re.findall(r"call\('(\w+)'", text)}
    assert called <= {words[0] for words in trials}


def state_of(own):
    pairs = RedisPairs(own.runtime, own.driver._route, prefix=PREFIX)
    return own.face.run(lambda: pairs.warnings(own.runtime.deadline(PATIENT_S)))


def rights_in(warnings):
    return [text for text in warnings if text.startswith("the account")]


@pytest.mark.parametrize("command", [words[0] for words in dict.fromkeys(of_state(PREFIX, single=True))])
def test_each_command_of_state_that_is_missing_is_named(client, account, command):
    own = client(url=account(ENOUGH_FOR_STATE, f"-{command.lower()}"), patient=True)
    assert rights_in(state_of(own)) == [
        f"the account 'limited' at Redis may not run {command}: grant +{command.lower()}"
    ]


def test_an_account_with_all_rights_for_state_is_told_nothing(client, account, redis_server):
    assert rights_in(state_of(client(url=account(ENOUGH_FOR_STATE), patient=True))) == []
    keys = rights_in(state_of(client(url=account(ENOUGH_FOR_STATE, "resetkeys ~other:*"), patient=True)))
    assert keys == ["the account 'limited' at Redis may not use the keys app:*: grant ~app:*"]
    with redis.Redis(port=redis_server.port) as server:
        assert server.keys("*rights*") == [], "what was tried has left nothing behind"


def test_a_cluster_is_tried_by_what_it_is_asked(client, redis_cluster):
    own = client(cluster=redis_cluster.urls, patient=True)
    assert rights_in(state_of(own)) == []
    assert own.get("a") == [None]


def test_health_of_a_store_says_so(face, account, tmp_path):
    config = Config(tmp_path, redis=RedisConfig(account(ENOUGH, "-evalsha"), prefix=PREFIX))

    async def story():
        async with await Store.opened(config, face.runtime(), OFF) as store:
            return (await store.health()).warnings

    assert "the account 'limited' at Redis may not run EVALSHA: grant +evalsha" in face.run(story)


def test_opening_says_so_in_the_log(client, account, caplog):
    own = client(url=account(ENOUGH, "-evalsha", "-publish"), patient=True)
    own.driver._prefix = PREFIX
    with caplog.at_level(logging.WARNING, "tierstore"):
        own.face.run(own.driver.open, own.runtime.deadline(PATIENT_S))
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "grant +evalsha",
        "grant +publish",
    ]


def test_a_call_that_lacks_a_right_says_what_is_wrong(client, account):
    own = client(url=account(ENOUGH, "-evalsha"), patient=True)
    with pytest.raises(ConfigError, match=r"lacks a right .*evalsha"):
        own.lease("a")
    with pytest.raises(ConfigError, match=r"lacks a right .*info"):
        client(url=account(ENOUGH, "-info"), patient=True).get("a")


def test_a_primary_that_goes_on_alone_is_named(client, redis_sentinel):
    own = client(sentinel=SentinelConfig(redis_sentinel.hosts, redis_sentinel.service), patient=True)
    pairs = RedisPairs(own.runtime, own.driver._route, prefix=PREFIX)
    (text,) = told(own)
    assert "min-replicas-to-write is 0" in text
    assert text in own.face.run(lambda: pairs.warnings(own.runtime.deadline(PATIENT_S)))
    with redis.Redis(port=redis_sentinel.primary.port) as server:
        server.config_set("min-replicas-to-write", 1)
    assert told(own) == []


def test_a_single_server_needs_no_replica(client, redis_server):
    assert told(client(url=redis_server.url, patient=True)) == []


def test_nodes_of_a_cluster_without_a_replica_are_not_replaced(client, redis_cluster):
    assert told(client(cluster=redis_cluster.urls, patient=True)) == []


def test_the_password_is_in_no_warning(client, account):
    assert PASSWORD not in " ".join(told(client(url=account("-@all +@connection +info"), patient=True)))
    assert os.environ.get("REDISCLI_AUTH") is None
