"""Policies that contradict themselves, or name what is not there: said at load, with the line."""

from pathlib import Path

import pytest

from headrace.errors import ConfigError
from headrace.screening.finding import Span
from headrace.screening.rule import Whom
from tests.screening.test_policy import load

SHADOWED = """\
both:
  email:
    - {action: block, when: {models: [a, b]}}
    - {action: flag, when: {models: [a]}, threshold: 0.5}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "both:\n  email:\n    - {action: block}\n    - {action: allow, when: {roles: [user]}}",
            "applies from 0.0 on, and says the opposite",
        ),
        (
            SHADOWED,
            "own.yaml:4: both.email[1]: this rule is never reached",
        ),
        (
            "terms:\n  rivals: [Acme]\nboth: {term.rivals: block}\nallow: {term.rivals: [ACME]}",
            "own.yaml:2: terms.rivals: 'Acme' is listed here and allowed under `allow.term.rivals`",
        ),
        (
            "terms:\n  good: [Acme]\n  bad: [acme]\nboth: {term.good: allow, term.bad: block}",
            "own.yaml:3: terms.bad: 'acme' is in `term.good` (allow) and in `term.bad` (block)",
        ),
        (
            "topics: {a: {terms: [x]}}\nallowed_topics:\n  - a\ninput: {topic.a: block, off_topic: block}",
            "own.yaml:3: allowed_topics[0]: the topic 'a' is allowed, and `topic.a` blocks it (input)",
        ),
        ("allowed_topics: [a]\ninput: {off_topic: block}", "there is no topic 'a'"),
        ("topics: {a: {}}\nboth: {topic.a: flag}", "a topic needs `terms` or `examples`"),
        (
            "topics: {a: {terms: [x]}}\nallowed_topics: [a]\ninput:\n  off_topic: mask",
            "own.yaml:4: input.off_topic: no part of the text stands for 'off_topic'",
        ),
        ("topics: {a: {terms: [x]}}\nallowed_topics: [a]", "there is no rule for 'off_topic'"),
        ("competitors: [x]", "there is no rule for 'competitor'"),
        ("residency: {regions: [eu]}", "there is no rule for 'residency'"),
        (
            "residency:\n  regions: [eu]\n  kinds: [emial]\ninput: {residency: block}",
            "own.yaml:3: residency.kinds[0]: no detector reports this kind",
        ),
        (
            "residency:\n  regions: [eu]\n  kinds: [email]\ninput: {residency: block}",
            "own.yaml:3: residency.kinds[0]: prompts are not looked at for 'email'",
        ),
        (
            "both:\n  email: disclaimer",
            "own.yaml:2: both.email: there is no text under `disclaimers`",
        ),
        ("both:\n  email: rewrite", "own.yaml:2: both.email: a rewrite needs either"),
        (
            "both:\n  email: {action: rewrite, replacement: a, instruction: b}",
            "a rewrite needs either `replacement` or `instruction`",
        ),
        (
            "both:\n  email: {action: mask, replacement: a}",
            "'replacement' is for rules that rewrite",
        ),
        ("both:\n  email: {action: block, answer: send}", "'answer' is for rules that escalate"),
        ("detectors:\n  emial: off", "own.yaml:2: detectors.emial: there is no such detector"),
        ("detectors:\n  email: in_doubt", "own.yaml:2: detectors.email: only costly detectors"),
        (
            "detectors: {email: off}\nboth:\n  email: mask",
            "own.yaml:3: both.email: no detector that is on reports this kind",
        ),
        ("doubt: [0.9, 0.3]", "doubt begins where it ends"),
        ("mode: watch", "own.yaml:1: mode"),
        ("on_timeout: maybe", "own.yaml:1: on_timeout"),
        ("disclaimers:\n  emial: {en: x}", "own.yaml:2: disclaimers.emial: no detector reports"),
    ],
)
def test_what_cannot_be_meant_is_an_error_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    assert message in refused.value.message


def test_rules_for_some_may_stand_before_rules_for_all(tmp_path: Path) -> None:
    text = "both: {email: [{action: allow, when: {roles: [admin]}}, {action: block}]}"
    policy = load(tmp_path, text)
    for whom, action in ((Whom(role="admin"), "allow"), (Whom(), "block")):
        rules = policy.side("input", whom).rules["email"]
        assert rules[0].action == action


def test_cases_and_descriptions_do_not_change_what_a_policy_is(tmp_path: Path) -> None:
    first = load(tmp_path, "both: {email: mask}")
    cases = "tests: [{text: a, expect: {action: allow}}]"
    assert load(tmp_path, f"both: {{email: mask}}\n{cases}").digest == first.digest
    assert load(tmp_path, "both: {email: mask}\non_error: open").digest != first.digest


def test_a_file_of_cases_is_no_policy(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "own.tests.yaml").write_text("tests: []", "utf-8")
    assert load(tmp_path, "both: {email: mask}").name == "own"


@pytest.mark.parametrize(
    ("audience", "score", "action"),
    [
        ("children", 0.5, "block"),
        ("general", 0.6, "flag"),
        ("general", 0.7, "block"),
        ("adult", 0.95, "flag"),
    ],
)
def test_an_audience_sets_what_content_is_stopped(
    tmp_path: Path, audience: str, score: float, action: str
) -> None:
    policy = load(tmp_path, f"audience: {audience}")
    assert policy.output.action(Span("sexual", 0, 1, score), "x") == action
    own = load(tmp_path, f"audience: {audience}\nboth: {{sexual: flag}}")
    assert own.output.action(Span("sexual", 0, 1, score), "x") == "flag"


def test_minors_are_stopped_for_every_audience(tmp_path: Path) -> None:
    for audience in ("children", "general", "adult"):
        policy = load(tmp_path, f"audience: {audience}")
        assert policy.output.action(Span("sexual/minors", 0, 1, 0.5), "x") == "block"
