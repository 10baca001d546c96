"""The guarantee of the answer's screen: the same result however the text is cut."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import PolicyBlocked
from headrace.screening.answer import AnswerScreen
from headrace.screening.content.detector import ContentDetector
from headrace.screening.detectors.api_key import ApiKeyDetector
from headrace.screening.detectors.term import TermDetector
from headrace.screening.finding import Detector, Finding, Span, StreamDetector
from headrace.screening.masking import MaskTable
from headrace.screening.placeholder import find_placeholders, placeholder_name
from headrace.screening.policy import PolicyLibrary
from headrace.screening.registry import detectors, detectors_by_kind
from headrace.screening.rule import Rule, SideRules

EVERYTHING = SideRules(
    side="output",
    acting=(
        *(each for each, _ in detectors().values() if each.window is not None),
        TermDetector({"words": ["moonshot", "dark horse", "坏人", "bad", "badge holder"]}),
    ),
    noting=(),
    rules={
        kind: (Rule(action="mask"),)
        for kind in (*(kind for kind in detectors_by_kind() if kind != "injection"), "term.words")
    },
    allowed={},
)

PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n"
    + "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgHcTz6sE2I\n" * 3
    + "aGVsbG8=\n-----END RSA PRIVATE KEY-----"
)
PARTS = [
    "ann.lee+news@mail.example.co.uk", "a@b.co", "@", "git@github.com:user/x", "logo@2x.png",
    "4111 1111 1111 1111", "4111111111111111", "2024 ", "5500-0055-5555-5559", "411111111111",
    "DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "de89", "NO", "is",
    "123-45-6789", "AB 12 34 56 C", "AB123456", "11010519491231002X", "SSN 123 45 6789",
    "+44 20 7946 0958", "+1 415 555 2671 200", "(415) 555-2671", "138 1234 5678", "call 4155552671",
    "192.168.1.77", "v1.2.3.4", "2001:db8::ff00:42:8329", "12:30:45", "fe80", "dead:beef",
    "sk-abcDEF1234567890abcdefghij", "sk-", "AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1B2c3D4" * 5, "sk-learn",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "eyJ",
    "postgres://u:s3cr3t!@db.host/x", "https://example.com:8080/x", "://",
    "password = hunter22", "api_key: 'f3A9k2LmQ8x7Zp0Rt5Vw'", "密码是abc12345", "password is", "token=",
    "authorization: Bearer a1b2c3d4e5f6g7h8i9", "Bearer ", "basic ", "secret: ", "'", "x1y2z3w4v5", "SG.",
    PEM, "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn",
    "moonshot", "moon", "dark  horse", "坏人", "坏", "bad", "badge", "badge holder", "BAD",
    "<EMAIL_1>", "<email_1", "[EMAIL_1]", "&lt;PHONE_1&gt;", "<EMAIL_7>", "\\<EMAIL\\_1\\>", "<", "[", "＜EMAIL_1＞",
    "AKLT" + "aB3dE6gH9" * 5, "EAAA" + "xY_9aB3dE6" * 6, "123456789:AAHx" + "a1B2c3D4" * 4, "hvs.CAES" + "a1B2c3D4" * 3, "dp.pt." + "a1B2c3D4" * 5, "SK" + "a1b2c3d4" * 4,
    "https://hooks.slack.com/services/T01AB2CD3/B04EF5GH6/" + "a1B2c3D4" * 3, "services/T01AB2CD3/", "ODAzNTExMTAyMjQ2Nzg5MTIz.GhJk2L." + "a1B2c3D4" * 4, "ODAzNTExMTAyMjQ2Nzg5MTIz.", "SIGNING_KEY=",
    "key-" + "0f1e2d3c" * 4, "AGE-SECRET-KEY-1" + "Q0W9E8R7T6" * 5 + "Q0W9E8R7", "r8_" + "aB3dE6gH9" * 4 + "abc", "hvs.", "dp.", "SK",
    "John Smith", "Dr. ", "My name is ", "Ann van den Berg", "Jean-Luc", " University", "Mary", "O'Neil's", "Mc", "John F. Ken", "王小明", "姓名：", "欧阳", "先生", "李娜", "联系人",
    "12 Elm Street", ", Apt 4", ", Springfield, IL 62704", "221B Baker St", "北京市朝阳区建国路", "88号", "院5号楼1203室", "NW1 6XE", "5th Avenue",
    "PESEL 44051401359", "BSN: 111222333", "RCCMNL83S18D969H", "131052-308T", "85.07.30-033.28", "12345678Z", "710319/2745",
    "passport no. C01X00T47", "护照E12345678", "passport", "driving licence ", "MORGA657054SM9IJ", "DL S530-4608-5723",
    "account number ", "6222 0212 3456 7890", "routing 111000025", "sort code 12-34-56", "NHS 943 476 5919", "MRN 00123456", "1EG4-TE5-MK73",
    "born on ", "DOB: 12/03/1985", "March 7, 1985", "7th of March 1985", "1985年3月7日", "出生于", "3c:22:fb:9a:10:7e", "3c-22-fb-", "-9a-10-7e",
    "粤B12345", "粤B·D12345", "plate number AB12 CDE", "licence plate ", "M-AB 1234", "deploy key ", "9f8e7d6c5b4a39281706f5e4d3c2b1a0", "Zx8QwErT5yUiOp2AsDfGh7",
    " ", " ", " ", "\n", ". ", ", ", "-", ".", "。", "，", "hello", "the", "a", "I", "1", "12", "0", "/", ":", "=", "x" * 70,
    "1" * 25, "x" * 300, "password=" + "a1" * 140, "s3cr3t" * 45 + "@h", "eyJ" + "a" * 1030, "A1b" * 200,
]  # fmt: skip
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(PARTS), st.text(max_size=3), st.text("0123456789 -@.:aX", max_size=6)
    ),
    max_size=12,
).map("".join)


def masks() -> MaskTable:
    table = MaskTable()
    table.placeholder("email", "kim@example.org")
    table.placeholder("phone", "+49 30 1234567")
    return table


def screened(
    pieces: list[str], rules: SideRules = EVERYTHING, *, reason: str | None = "stop"
) -> tuple[str, list[Finding], bool]:
    """What left, what was found, and whether it was blocked."""
    findings: list[Finding] = []
    screen = AnswerScreen(rules, masks(), findings, lambda: PolicyBlocked("no"))
    left = ""
    try:
        for piece in pieces:
            left += screen.push(piece)
        left += screen.finish(reason)
    except PolicyBlocked:
        return left, findings, True
    return left, findings, False


def alone(detector: Detector) -> SideRules:
    return SideRules("output", (detector,), (), EVERYTHING.rules, {})


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@given(text=TEXTS, places=CUTS)
def test_the_answer_does_not_depend_on_where_it_is_cut(text: str, places: list[int]) -> None:
    assert screened(cut(text, places)) == screened([text])


@given(text=TEXTS)
def test_character_by_character_is_the_same_as_whole(text: str) -> None:
    assert screened(list(text)) == screened([text])


@pytest.mark.parametrize(
    ("public", "secret"),
    [
        ("https://hooks.slack.com/services/T01AB2CD3/B04EF5GH6/", "aBcDeFgH" * 3),
        ("ODAzNTExMTAyMjQ2Nzg5MTIz.", "GhJkmL." + "aBcDeFgH" * 4),
    ],
)
def test_a_key_behind_a_long_public_part_does_not_leave_letter_by_letter(
    public: str, secret: str
) -> None:
    left, _, _ = screened(list(f"Post to {public}{secret}, please."), alone(ApiKeyDetector()))
    assert left == f"Post to {public}[SECRET], please."


QUIET = SideRules(
    "output",
    tuple(each for each in EVERYTHING.acting if hasattr(each, "wakes") or hasattr(each, "alert")),
    (),
    EVERYTHING.rules,
    {},
)
"""Those that let plain words pass with one look."""


@given(
    texts=st.lists(
        st.one_of(
            st.sampled_from(PARTS),
            st.sampled_from(
                [
                    "the wheel",
                    " is",
                    " turns, ",
                    "as",
                    "basic",
                    "AK",
                    "IA",
                    "da",
                    "pi",
                    "\n-",
                    "s",
                    "k",
                ]
            ),
            st.text("aAiIsSKDLTzG.yJ e', \n是好-k", max_size=6),
        ),
        max_size=12,
    ),
    places=CUTS,
)
def test_plain_words_that_pass_with_one_look_are_the_same_as_whole(
    texts: list[str], places: list[int]
) -> None:
    assert QUIET.plain is not None
    whole = "".join(texts)
    for pieces in (texts, list(whole), cut(whole, places)):
        assert screened(pieces, QUIET) == screened([whole], QUIET)


def test_plain_words_leave_at_once() -> None:
    screen = AnswerScreen(QUIET, masks(), [], lambda: PolicyBlocked("no"))
    said = ["The", " wheel", " turns", ",", " and", " the", " mill", "er", " sleeps", ".\n", "Yes!"]
    assert [screen.push(piece) for piece in said] == said


SINGLE = [each for each in EVERYTHING.acting if not isinstance(each, ContentDetector)]
"""Those of content all wait for the same, alone or together: content/test_detector.py."""


@pytest.mark.parametrize("detector", SINGLE, ids=lambda each: each.name)
@given(text=TEXTS)
def test_each_detector_alone_waits_long_enough(detector: Detector, text: str) -> None:
    rules = alone(detector)
    assert screened(list(text), rules) == screened([text], rules)


@pytest.mark.parametrize("detector", SINGLE, ids=lambda each: each.name)
@given(text=TEXTS, more=TEXTS)
def test_what_is_not_pending_is_final(detector: Detector, text: str, more: str) -> None:
    assert isinstance(detector, StreamDetector)
    settled = detector.pending(text, 0)
    before = [span for span in detector.detect(text) if span.shown < settled]
    after = [span for span in detector.detect(text + more) if span.shown < settled]
    assert before == after


@given(text=TEXTS)
def test_what_is_forbidden_is_hidden_whole(text: str) -> None:
    left, _, _ = screened(list(text))
    assert left == expected(text)


def expected(text: str) -> str:
    """The same result by another way: mark every forbidden character, then write it out."""
    table = masks()
    ours = [each for each in find_placeholders(text) if table.value(each.placeholder)]
    label = [""] * len(text)
    spans = sorted(
        (span for detector in EVERYTHING.acting for span in detector.detect(text)),
        key=lambda span: (span.end - span.shown, [-ord(c) for c in span.kind]),
    )
    groups: list[list[Span]] = []
    for span in sorted(spans, key=lambda span: span.shown):
        if any(each.start <= span.shown and span.end <= each.end for each in ours):
            continue
        if groups and span.shown < max(each.end for each in groups[-1]):
            groups[-1].append(span)
        else:
            groups.append([span])
    for group in groups:
        kind = min(group, key=lambda span: (span.shown - span.end, span.kind)).kind
        for at in range(min(s.shown for s in group), max(s.end for s in group)):
            label[at] = f"[{placeholder_name(kind)}]#{groups.index(group)}"
    pieces: list[str] = []
    at = 0
    last = ""
    while at < len(text):
        inside = next((each for each in ours if each.start == at), None)
        if inside is not None:
            pieces.append(table.value(inside.placeholder) or "")
            at, last = inside.end, ""
            continue
        if label[at] and label[at] != last:
            pieces.append(label[at].partition("#")[0])
        if not label[at]:
            pieces.append(text[at])
        last = label[at]
        at += 1
    return "".join(pieces)


@given(text=TEXTS, places=CUTS)
def test_a_stream_that_breaks_off_shows_a_beginning_of_the_whole(
    text: str, places: list[int]
) -> None:
    pieces = cut(text, places)
    whole = expected(text)
    for upto in range(len(pieces) + 1):
        left, _, _ = screened(pieces[:upto], reason=None)
        assert whole.startswith(left)


BLOCKING = SideRules(
    "output",
    EVERYTHING.acting,
    (),
    {**EVERYTHING.rules, "term.words": (Rule(action="block"),)},
    {},
)


@given(text=TEXTS, places=CUTS)
def test_a_blocked_answer_stops_before_the_match_however_it_is_cut(
    text: str, places: list[int]
) -> None:
    whole = screened([text], BLOCKING)
    assert screened(cut(text, places), BLOCKING) == whole
    assert screened(list(text), BLOCKING) == whole
    assert whole[2] or not re.search(r"(?i)(?<!\w)moonshot(?!\w)", text)


NOTING = SideRules(
    "output",
    tuple(each for each in EVERYTHING.acting if each.name == "card"),
    tuple(each for each in EVERYTHING.acting if each.name in {"email", "phone", "ip"}),
    {
        "card": (Rule(action="mask"),),
        "email": (Rule(action="flag"),),
        "phone": (Rule(action="flag"),),
        "ip": (Rule(action="flag"),),
    },
    {},
)


@given(texts=st.lists(TEXTS, min_size=1, max_size=40), places=CUTS)
def test_flags_do_not_depend_on_cuts_nor_on_length(texts: list[str], places: list[int]) -> None:
    text = (" ".join(texts) + " padding " * 40) * 4
    left, findings, _ = screened(cut(text, places), NOTING)
    assert (left, sort(findings)) == (
        screened([text], NOTING)[0],
        sort(screened([text], NOTING)[1]),
    )
    emails = [each for each in findings if each.kind == "email"]
    (detector,) = (each for each in NOTING.noting if each.name == "email")
    assert [(each.start, each.end) for each in emails] == [
        (span.start, span.end) for span in detector.detect(text)
    ]


def sort(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda each: (each.start, each.end, each.kind))


DEFAULT = PolicyLibrary.load(Path("/nonexistent"), {}).get("default").output


@pytest.mark.parametrize(
    "words",
    [
        ["The", " quick", " brown", " fox", " is", " no", " AB", " DE", " A", "I", ",", " (it", "!"],
        ["你好", "，", "我", "是", "一个", "助手", "。", "密码", "学", "很", "有趣"],
        ["Pass", "words", " are", " a", " noun", ".\n", "- item", " sk", " eyJ", "\n-----BEGIN", " x"],
        ["def", " f", "(x", "):", "\n    ", "return", " x", " * y", " # note", "\n"],
    ],
)  # fmt: skip
def test_words_that_cannot_begin_a_match_leave_at_once(words: list[str]) -> None:
    screen = AnswerScreen(DEFAULT, MaskTable(), [], lambda: PolicyBlocked("no"))
    assert [screen.push(word) for word in words] == words


def test_a_word_behind_password_is_waits_for_its_end() -> None:
    screen = AnswerScreen(DEFAULT, MaskTable(), [], lambda: PolicyBlocked("no"))
    assert [screen.push(each) for each in ["Password", " is", " a", " noun"]] == [
        "Password", " is", " ", "a noun",
    ]  # fmt: skip


def test_a_number_waits_for_what_follows_it() -> None:
    screen = AnswerScreen(DEFAULT, MaskTable(), [], lambda: PolicyBlocked("no"))
    assert [screen.push(each) for each in ["in ", "20", "24", " we", " met"]] == [
        "in ", "", "", "2024 we", " met",
    ]  # fmt: skip


def test_long_runs_do_not_pile_up() -> None:
    screen = AnswerScreen(EVERYTHING, masks(), [], lambda: PolicyBlocked("no"))
    for letter in ("x", "1", "a@", "<", "é"):
        held = 800 * len(letter) - sum(len(screen.push(letter)) for _ in range(800))
        assert held < 600, letter


class WholeText:
    """A detector of somebody's own that judges the text as a whole."""

    name = "shouting"
    kinds = ("shouting",)
    window = None

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        if text.isupper():
            yield Span("shouting", start, len(text))


def test_a_detector_of_the_whole_text_holds_it_back() -> None:
    rules = SideRules("output", (WholeText(),), (), {"shouting": (Rule(action="mask"),)}, {})
    screen = AnswerScreen(rules, MaskTable(), [], lambda: PolicyBlocked("no"))
    assert screen.push("HELLO ") == ""
    assert screen.push("YOU") == ""
    assert screen.finish("stop") == "[SHOUTING]"


def test_a_detector_of_the_whole_text_that_only_flags_holds_nothing_back() -> None:
    rules = SideRules("output", (), (WholeText(),), {"shouting": (Rule(action="flag"),)}, {})
    findings: list[Finding] = []
    screen = AnswerScreen(rules, MaskTable(), findings, lambda: PolicyBlocked("no"))
    assert screen.push("HELLO ") == "HELLO "
    assert screen.finish("stop") == ""
    assert [each.kind for each in findings] == ["shouting"]


class Windowed:
    """The least a detector of one's own needs."""

    name = "code"
    kinds = ("code",)
    window = 8
    pattern = re.compile(r"X-\d{4,6}")

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        for match in self.pattern.finditer(text, start):
            yield Span("code", match.start(), match.end())


@given(text=st.text("X-12 ", max_size=60))
def test_a_detector_with_a_window_needs_no_more(text: str) -> None:
    rules = SideRules("output", (Windowed(),), (), {"code": (Rule(action="mask"),)}, {})
    assert screened(list(text), rules)[0] == Windowed.pattern.sub("[CODE]", text)
