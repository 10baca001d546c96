"""Quick detectors that fail: the policy's declared mode, a finding, never a silent pass."""

from collections.abc import Iterator

import pytest

from headrace.errors import PolicyBlocked
from headrace.screening.answer import AnswerScreen
from headrace.screening.content.floor import FLOOR_DETECTOR
from headrace.screening.finding import Action, Finding, Span
from headrace.screening.masking import MaskTable
from headrace.screening.match import RAISED, fault
from headrace.screening.prompt import screen_prompt
from headrace.screening.rule import FailMode, Rule, SideRules, sided


class Failing:
    """Raises where the text has a bang; in `pending` too, if it is told to."""

    name = "failing"
    kinds = ("odd",)

    def __init__(self, *, window: int | None = 4, pending: bool = False) -> None:
        self.window = window
        self._pending = pending

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        if "!" in text[start:]:
            raise RuntimeError(text)
        return iter(())

    def pending(self, text: str, start: int) -> int:
        if self._pending and "!" in text[start:]:
            raise RuntimeError(text)
        return len(text)


def rules_of(detector: Failing, action: Action, mode: FailMode, side: str = "output") -> SideRules:
    return sided(
        "output" if side == "output" else "input",
        [detector],
        {"odd": (Rule(action=action),)},
        {},
        on_error=mode,
    )


def screened(rules: SideRules, pieces: list[str]) -> tuple[str, list[Finding], bool]:
    findings: list[Finding] = []
    screen = AnswerScreen(rules, MaskTable(), findings, lambda: PolicyBlocked("no"))
    left = ""
    try:
        for piece in pieces:
            left += screen.push(piece)
        left += screen.finish("stop")
    except PolicyBlocked:
        return left, findings, True
    return left, findings, False


KINDS = [
    Failing(),
    Failing(pending=True),
    Failing(window=None),
]
IDS = ["detect", "pending", "whole"]


@pytest.mark.parametrize("action", ["mask", "flag"])
@pytest.mark.parametrize("detector", KINDS, ids=IDS)
def test_a_closed_policy_lets_no_more_of_the_answer_go(detector: Failing, action: Action) -> None:
    left, findings, blocked = screened(
        rules_of(detector, action, "closed"), ["Fine. ", "Oh! ", "More."]
    )
    assert blocked
    if action == "mask":  # one that only flags looks behind what has left
        assert left == "Fine. "[: 6 if detector.window else 0]
    assert [(each.kind, each.action, each.note) for each in findings] == [
        (RAISED, "block", "RuntimeError")
    ]


class Calm:
    """Masks, and lets plain text go with one look (see plain.py)."""

    name = "calm"
    kinds = ("calm",)
    window = 4
    wakes = ()

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        return iter(())

    def pending(self, text: str, start: int) -> int:
        return len(text)


@pytest.mark.parametrize("words", [["plain words "] * 400, ["x" * 2048, *["plain words "] * 200]])
def test_a_fault_met_behind_plain_text_ends_the_answer(words: list[str]) -> None:
    # The detector only notes, so it looks every 2,048 characters; what comes is plain throughout.
    rules = sided(
        "output",
        [Calm(), Failing()],
        {"calm": (Rule(action="mask"),), "odd": (Rule(action="flag"),)},
        {},
        on_error="closed",
    )
    left, findings, blocked = screened(rules, ["Oh! ", *words, "The end"])
    assert blocked
    assert len(left) < 2100
    assert [(each.kind, each.action) for each in findings] == [(RAISED, "block")]


@pytest.mark.parametrize("action", ["mask", "flag"])
@pytest.mark.parametrize("detector", KINDS, ids=IDS)
def test_an_open_policy_lets_it_go_and_says_so_once(detector: Failing, action: Action) -> None:
    left, findings, blocked = screened(
        rules_of(detector, action, "open"), ["Fine. ", "Oh! ", "More! ", "End!"]
    )
    assert (left, blocked) == ("Fine. Oh! More! End!", False)
    assert [(each.kind, each.action, each.note) for each in findings] == [
        (RAISED, "flag", "RuntimeError")
    ]


@pytest.mark.parametrize(("mode", "action"), [("open", "flag"), ("closed", "block")])
def test_a_prompt_that_could_not_be_looked_at_says_so(mode: FailMode, action: str) -> None:
    findings: list[Finding] = []
    rules = rules_of(Failing(), "mask", mode, side="input")
    screen_prompt("Oh! kim@example.org", rules, MaskTable(), findings)
    assert [(each.kind, each.action) for each in findings] == [(RAISED, action)]
    assert "kim@" not in repr(findings)


def test_the_floor_fails_closed_whatever_the_policy_says() -> None:
    rules = rules_of(Failing(), "mask", "open", side="input")
    assert fault(rules, "failing", 0, 1, "RuntimeError").action == "flag"
    assert fault(rules, FLOOR_DETECTOR, 0, 1, "RuntimeError").action == "block"
