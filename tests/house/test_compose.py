"""docker-compose.yml names servers like those of the tests. (No engine runs it here: it is read and compared.)"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from tests.servers.programs import VERSITYGW
from tierstore.telemetry import Prometheus

COMPOSE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def options(command: list[str]) -> dict[str, str]:
    """`--name value` pairs; a name without a value has ""."""
    words = [*command, "--"]
    names = [index for index, word in enumerate(words) if word.startswith("--")]
    return {words[at].removeprefix("--"): " ".join(words[at + 1 : end]) for at, end in itertools.pairwise(names)}


@pytest.mark.requirement("S5-01")
def test_every_service_is_there():
    assert set(SERVICES) == {"postgres", "postgres-replica", "valkey", "s3", "prometheus", "grafana"}


def test_every_image_names_its_version():
    assert all(re.search(r":v?\d", service["image"]) for service in SERVICES.values())


def test_ports_are_open_to_this_machine_only():
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_referred_to_is_defined():
    for service in SERVICES.values():
        assert {config["source"] for config in service.get("configs", ())} <= set(COMPOSE["configs"])
        named = {volume.split(":")[0] for volume in service.get("volumes", ())}
        assert {name for name in named if not name.startswith((".", "/"))} <= set(COMPOSE["volumes"])
        assert set(service.get("depends_on", ())) <= set(SERVICES)


@pytest.mark.requirement("S1-69")
def test_postgres_has_the_settings_of_the_tests(postgres):
    settings = dict(
        word.removeprefix("-c").split("=") for word in SERVICES["postgres"]["command"] if word.startswith("-c")
    )
    assert settings
    with psycopg.connect(postgres.url) as connection:
        shown = {name: connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in settings}
    assert {name: row[0] for name, row in shown.items()} == settings


@pytest.mark.requirement("S1-69")
def test_valkey_has_the_settings_of_the_tests(redis_server):
    settings = options(SERVICES["valkey"]["command"])
    settings["save"] = settings["save"].strip('"')
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        assert client.config_get(*settings) == settings


def test_the_object_store_is_started_as_in_the_tests(s3_server):
    ours, theirs = options(s3_server.command()[1:]), options(SERVICES["s3"]["command"])
    assert set(theirs) <= set(ours)
    assert SERVICES["s3"]["image"].rpartition(":")[2] == VERSITYGW.rpartition("@")[2]
    assert set(SERVICES["s3"]["environment"]) == set(s3_server.environment())


def metrics_text() -> str:
    """What a service exports that has done nothing yet."""
    registry = CollectorRegistry()
    Prometheus(registry)
    return generate_latest(registry).decode()


@pytest.mark.requirement("S1-72")
def test_alerts_and_scraping_are_read_by_prometheus_own_format():
    alerts = yaml.safe_load(COMPOSE["configs"]["alerts"]["content"])
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    assert all({"alert", "expr", "for"} <= set(rule) for rule in rules)
    exported = set(re.findall(r"^# TYPE (\w+)", metrics_text(), re.MULTILINE))
    for rule in rules:
        named = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"schema_registry_\w+", rule["expr"])}
        assert named
        assert named <= exported
    scraping = yaml.safe_load(COMPOSE["configs"]["prometheus"]["content"])
    mounted = {Path(config["target"]).name for config in SERVICES["prometheus"]["configs"]}
    assert set(scraping["rule_files"]) <= mounted
