"""Texts made to be slow: linear work takes a moment, quadratic work runs into the time limit."""

import pytest

from headrace.errors import PolicyBlocked
from headrace.screening.answer import AnswerScreen
from headrace.screening.arguments import ArgumentsScreen
from headrace.screening.content.detector import ContentDetector
from headrace.screening.detectors.term import TermDetector
from headrace.screening.finding import Detector
from headrace.screening.masking import MaskTable
from headrace.screening.placeholder import find_placeholders
from headrace.screening.registry import detectors
from headrace.screening.rule import Rule, SideRules

SIZE = 25_000
TERM = TermDetector(
    {"words": ["moonshot", "a a a a b", "dark horse", "坏人坏事", "aaaaaaaaaaaaaaaab"]}
)
ALL: tuple[Detector, ...] = (
    *(each for each, _ in detectors().values() if not isinstance(each, ContentDetector)),
    TERM,
)
"""Those of content share their work, and have a test of their own."""
UNITS = [
    "a", "1", " ", ".", "-", "@", ":", "/", "<", "\n", "坏", "é", "İ",
    "a@", "a.", "a@a.", "a@b.c", "@a", "1 ", "1-", "1.", "12 34 ", "1234 ", "(0", "+1", "+", "00",
    "1.1.", "1:", "a:", "::", "fe80:", "AB", "AB1", "DE89 ", "AB 12 ", "ssn ", "eyJ", "eyJa.", "eyJeyJ.",
    "sk-", "sk-a", "ghp_", "AKIA", "SG.a.", "://", "a://", "a://b:", "a://b:c", "http://a:", "password=",
    "password ", "secret: ", " -a-token ", "mysql -p", "&sig=a", "密码", "密码是", "api_key=\"", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----\n",
    "-----END", "A: b\n", "AAAAAAAAAAAAAAAAAAAAAAAA\n", "a a ", "aaaa_", "moonshot", "moon ", "dark ",
    "ignore ", "ignore all ", "ignore previous ", "show ", "tell me ", "you are ", "act as no ", "from now on ",
    "decode ", "decode base64 ", "do not ", "system", "\nsystem ", "# system ", "[system", "<|", "[inst",
    "pesel 1", "1 A ", "A1 ", "1A-", "12345 ", "passport ", "护照1", "京A", "京A1", "plate A1 ", "born 1/", "1 May ", "1年", "12 Elm ", "1 A, ",
    "John ", "J. ", "Mc", "van ", "O'", "王", "王小", "路1号", "路", "key a1", "token ", "a1", "aa:", "aa-",
    "忽略", "忽略之前", "显示", "提示词", "扮演", "你现在是", "进入", "解码", "without any ", "<EMAIL", "<EMAIL_1", "&lt;", "\\",
]  # fmt: skip


@pytest.mark.timeout(20)
@pytest.mark.parametrize("detector", ALL, ids=lambda each: each.name)
def test_a_hostile_prompt_takes_linear_time(detector: Detector) -> None:
    for unit in UNITS:
        text = unit * (SIZE // len(unit))
        for _ in detector.detect("-----BEGIN sk- eyJ :// password @ " + text + "!", 40):
            pass


@pytest.mark.timeout(20)
def test_placeholders_in_a_hostile_text_take_linear_time() -> None:
    for unit in UNITS:
        for _ in find_placeholders(unit * (SIZE // len(unit))):
            pass


RULES = {kind: (Rule(action="mask"),) for each in ALL for kind in each.kinds}
STREAMED = SideRules(
    "output",
    tuple(each for each in ALL if each.window is not None),
    (),
    RULES,
    {},
)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("units", [UNITS[at::8] for at in range(8)], ids=range(8))
def test_a_hostile_answer_takes_linear_time(units: list[str]) -> None:
    masks = MaskTable()
    masks.placeholder("email", "kim@example.org")
    for unit in units:
        screen = AnswerScreen(STREAMED, masks, [], lambda: PolicyBlocked("no"))
        for _ in range(300):
            screen.push(unit)
        for _ in range(20):
            screen.push(unit * (SIZE // 40 // len(unit)))
        screen.finish("stop")


LONG = "the wheel turns. " * (400_000 // 17)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("acting", [True, False], ids=["held to the end", "judged at the end"])
def test_a_long_answer_that_is_judged_as_a_whole_takes_linear_time(*, acting: bool) -> None:
    # The injection detector judges whole texts, so all of it is kept until the end.
    rules = {"injection": (Rule(action="block" if acting else "flag"),)}
    judging = tuple(each for each in ALL if each.window is None)
    others = STREAMED.acting
    side = SideRules(
        "output", (*judging, *others) if acting else others, () if acting else judging, rules, {}
    )
    screen = AnswerScreen(side, MaskTable(), [], lambda: PolicyBlocked("no"))
    pieces = [screen.push(LONG[at : at + 8]) for at in range(0, len(LONG), 8)]
    assert "".join(pieces) + screen.finish("stop") == LONG


@pytest.mark.timeout(20)
def test_arguments_that_are_one_long_string_take_linear_time() -> None:
    def same(text: str, *, wrap: object) -> str:
        return text

    screen = ArgumentsScreen(same)
    whole = f'{{"text": "{LONG}"}}'
    pieces = [screen.push(whole[at : at + 4]) for at in range(0, len(whole), 4)]
    assert "".join(pieces) + screen.finish("stop") == whole
