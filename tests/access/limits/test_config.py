"""`limits:` in headrace.yaml: what it takes, and what it says when it does not."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from headrace.access.limits.config import Limits, read_limits
from headrace.access.limits.rule import Rule
from headrace.config.node import parse_yaml
from headrace.errors import ConfigError


def read(text: str, **environ: str) -> Limits:
    node = parse_yaml(text, "headrace.yaml", environ, root=Path("/"))
    return read_limits(node.child("limits"))


def failure(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return caught.value


def test_a_list_of_rules_is_enough() -> None:
    limits = read("""
limits:
  - {requests_per_minute: 60, tokens_per_minute: 100k, concurrent: 8}
  - {key: reporting, usd_per_day: 5, usd_per_month: 100}
  - {team: research, model: "gpt-*", tokens_per_minute: 1.5M}
  - {model: gpt-6, per: service, requests_per_minute: "${RPM}"}
  - {per: [model, key], concurrent: 1}
""", RPM="500")  # fmt: skip
    assert limits.rules == (
        Rule(requests_per_minute=60, tokens_per_minute=100_000, concurrent=8),
        Rule(key="reporting", usd_per_day=5, usd_per_month=100),
        Rule(team="research", model="gpt-*", per=("team",), tokens_per_minute=1_500_000),
        Rule(model="gpt-6", per=(), requests_per_minute=500),
        Rule(per=("key", "model"), concurrent=1),
    )


def test_a_mapping_holds_more_than_rules() -> None:
    limits = read("""
limits:
  time_zone: Europe/Berlin
  redis: {url: "unix:///run/redis.sock", on_error: deny}
  rules:
    - usd_per_day: 1
""")
    assert limits.zone == ZoneInfo("Europe/Berlin")
    assert limits.redis is not None
    assert (limits.redis.url, limits.redis.on_error) == ("unix:///run/redis.sock", "deny")
    assert limits.rules == (Rule(usd_per_day=1),)


@pytest.mark.parametrize("text", ["limits:", "limits: []", "limits: {}"])
def test_nothing_means_no_limits(text: str) -> None:
    assert read(text).rules == ()
    assert read_limits(None) == Limits()


@pytest.mark.parametrize(
    ("rule", "message", "hint"),
    [
        ("{tokens_per_minute: 10x}", "tokens_per_minute: expected a whole number above 0", "100k"),
        ("{tokens_per_minute: 0}", "found 0", "100k"),
        ("{tokens_per_minute: -5}", "found -5", "100k"),
        ("{requests_per_minute: 0.2}", "requests_per_minute: ", ""),
        ("{concurrent: 0}", "concurrent: expected a whole number above 0", ""),
        ("{usd_per_day: 0}", "usd_per_day: expected a number above 0", ""),
        ("{token_per_minute: 5}", "unknown field 'token_per_minute'", "tokens_per_minute"),
        ("{key: a}", "the rule limits nothing", "requests_per_minute"),
        ("{key: '', concurrent: 1}", "an empty name matches nothing", "leave the field out"),
        ("{per: user, concurrent: 1}", "per: expected 'key', 'model', 'service' or 'team'", ""),
        ("{per: [key, x], concurrent: 1}", "per[1]: expected 'key', 'model' or 'team'", ""),
    ],
)
def test_a_wrong_rule_is_named_with_its_line(rule: str, message: str, hint: str) -> None:
    error = failure(f"limits:\n  - concurrent: 5\n  - {rule}\n")
    assert error.message.startswith("headrace.yaml:3: limits[1]")
    assert message in error.message
    assert hint in error.hint


def test_a_rule_without_its_dash_is_told_so() -> None:
    error = failure("limits:\n  requests_per_minute: 60\n")
    assert error.message == (
        "headrace.yaml:2: limits.requests_per_minute: a limit stands in a list of rules"
    )
    assert error.hint == "write it as `- requests_per_minute: …`"


def test_two_rules_that_limit_the_same_are_one_too_many() -> None:
    error = failure("limits:\n  - {concurrent: 5}\n  - {usd_per_day: 1}\n  - {concurrent: 6}\n")
    assert error.message.startswith("headrace.yaml:4: limits[2].concurrent: the rule in line 2 ")


def test_an_unknown_time_zone_gets_the_nearest_one() -> None:
    error = failure("limits:\n  time_zone: Europe/Berln\n  rules: [{concurrent: 1}]\n")
    assert error.message == (
        "headrace.yaml:2: limits.time_zone: there is no time zone 'Europe/Berln'"
    )
    assert error.hint == "did you mean 'Europe/Berlin'?"


def test_an_address_of_no_redis_is_said_with_its_line() -> None:
    error = failure("limits:\n  rules: [{concurrent: 1}]\n  redis: {url: localhost}\n")
    assert error.message == (
        "headrace.yaml:3: limits.redis.url: this is not the address of a Redis"
    )
