"""`headrace screen`: what policies do, tried and tested."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.conftest import Call, StoreTrace

POLICY = """
extends: default
both: {term.rude: {action: rewrite, instruction: Say it politely.}}
input: {term.secretive: ask}
terms: {rude: [stupid], secretive: [Bluebird]}
tests:
  - {text: My mail is kim@example.org, expect: {action: mask, kinds: [email], text: My mail is <EMAIL_1>}}
  - {name: a code name, text: Is Bluebird late?, expect: {action: ask, words: term.secretive}}
"""


@pytest.fixture
def policy(folder: Path) -> Path:
    path = folder / "policies" / "shop.yaml"
    path.parent.mkdir()
    path.write_text(POLICY, "utf-8")
    return path


def test_a_text_is_shown_with_what_is_done_about_it(call: Call, policy: Path) -> None:
    told = call("screen", "run", "--policy", "shop", "Is Bluebird late? kim@example.org")
    assert "ask     term.secretive" in told.out
    assert "the user is told: This was found: term.secretive." in told.out
    found = json.loads(call("screen", "run", "Ask kim@example.org", "--json").out)
    assert (found["action"], found["text"]) == ("mask", "Ask <EMAIL_1>")
    assert "kim@" not in json.dumps(found["findings"])
    answer = call("screen", "run", "--side", "output", "card 4111 1111 1111 1111")
    assert "card [CARD]" in answer.out


def test_cases_pass_or_fail_and_the_exit_status_says_so(call: Call, policy: Path) -> None:
    assert call("screen", "test").status == 0
    beside = policy.with_name("shop.tests.yaml")
    beside.write_text(
        "tests:\n"
        "  - {name: wrong, text: hello, expect: {action: block}}\n"
        "  - {name: by a model, text: A stupid plan, expect: {action: rewrite}}\n",
        "utf-8",
    )
    report = policy.with_name("report.xml")
    failed = call("screen", "test", "--junit", str(report))
    assert failed.status == 1
    assert "action is allow, expected block" in failed.out
    assert "2 passed, 1 failed, 1 skipped" in failed.err
    suite = ET.parse(report).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")
    outcomes = json.loads(call("screen", "test", str(beside), "--json").out)
    assert [each["outcome"] for each in outcomes] == ["failed", "skipped"]


def test_a_wrong_policy_is_said_with_its_line(call: Call, policy: Path) -> None:
    policy.write_text("input:\n  emial: mask\n", "utf-8")
    wrong = call("screen", "test", "policies")
    assert wrong.status == 1
    assert "shop.yaml:2: input.emial: no detector reports this kind" in wrong.err


def test_without_policies_there_is_nothing_to_test(call: Call, folder: Path) -> None:
    assert "there are no policies here" in call("screen", "test").err


def test_turns_that_were_are_held_against_a_policy(
    call: Call, policy: Path, store_trace: StoreTrace
) -> None:
    trace = store_trace()
    told = json.loads(call("screen", "replay", "--policy", "shop", "--json").out)
    assert told["looked_at"] == 1
    assert told["policy"].startswith("shop@sha256:")
    assert trace.id in json.dumps(told["changed"]) or told["changed"] == []
    assert "1 turns looked at" in call("screen", "replay", "--policy", "shop").out


def test_an_empty_queue_says_so(call: Call, store_trace: StoreTrace) -> None:
    store_trace()
    assert "nothing waits" in call("screen", "review", "list").err
    assert "decisions: 0, all as they were written" in call("screen", "review", "verify").out
    missing = call("screen", "review", "show", "01a2")
    assert (missing.status, "no entry has the id" in missing.err) == (1, True)
