"""The guarantee of the answer's screen: the same result however the text is cut."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import PolicyBlocked
from headrace.screening.answer import AnswerScreen
from headrace.screening.detectors.term import TermDetector
from headrace.screening.finding import Finding
from headrace.screening.masking import MaskTable
from headrace.screening.registry import detectors
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
        for kind in ("card", "email", "iban", "ip", "national_id", "phone", "secret", "term.words")
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
    PEM, "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn",
    "moonshot", "moon", "dark  horse", "坏人", "坏", "bad", "badge", "badge holder", "BAD",
    "<EMAIL_1>", "<email_1", "[EMAIL_1]", "&lt;PHONE_1&gt;", "<EMAIL_7>", "\\<EMAIL\\_1\\>", "<", "[", "＜EMAIL_1＞",
    " ", " ", " ", "\n", ". ", ", ", "-", ".", "。", "，", "hello", "the", "a", "I", "1", "12", "0", "/", ":", "=", "x" * 70,
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


@given(text=TEXTS, data=st.data())
def test_the_answer_does_not_depend_on_where_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    edges = [0, *sorted(cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    assert screened(pieces) == screened([text])


@given(text=TEXTS)
def test_character_by_character_is_the_same_as_whole(text: str) -> None:
    assert screened(list(text)) == screened([text])
