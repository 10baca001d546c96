"""E-mail addresses: what is found, and what only looks like one."""

import pytest

from headrace.screening.detectors.email import EmailDetector

DETECTOR = EmailDetector()


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("write to ann.lee@example.com today", ["ann.lee@example.com"]),
        ("ANN+news@Mail.Example.CO.UK", ["ANN+news@Mail.Example.CO.UK"]),
        ("<o'neil@example.ie>, a_b%c@x-y.org.", ["o'neil@example.ie", "a_b%c@x-y.org"]),
        ("请联系wang.wei@例.example.cn吗", []),
        ("请联系wang.wei@example.cn，谢谢", ["wang.wei@example.cn"]),
        ("mailto:kim@example.org?subject=hi", ["kim@example.org"]),
        ("ends here: a@b.co.", ["a@b.co"]),
        ("a@b.com,c@d.com;e@f.com", ["a@b.com", "c@d.com", "e@f.com"]),
        ("postbox@xn--mnchen-3ya.xn--p1ai ok", ["postbox@xn--mnchen-3ya.xn--p1ai"]),
        ("git@example.com, not a clone", ["git@example.com"]),
    ],
)
def test_addresses_are_found_whole(text: str, addresses: list[str]) -> None:
    assert found(text) == addresses


@pytest.mark.parametrize(
    "text",
    [
        "@app.route('/x')",
        "root@localhost",
        "matrix product a @ b.T",
        "see logo@2x.png and app@latest.js",
        "npm i left-pad@1.3.0",
        "git clone git@github.com:user/repo.git",
        "follow @ann.lee on social media",
        "price: 3@4.50",
        f"{'x' * 65}@example.com",
        f"a@{'b.' * 130}com",
        "a@-bad.com",
        "a@b..com",
        "@" * 50,
    ],
)
def test_what_only_looks_like_an_address_is_left_alone(text: str) -> None:
    assert found(text) == []
