import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.pipeline.steps.normalize.invisible import remove_invisible
from headrace.pipeline.steps.normalize.passage import passages
from headrace.pipeline.steps.normalize.text import normalize_text

PIECES = (
    "a b A 1 . , & ; # l t g m p x ` ``` ~~~ \n \t \r \\ / : @ é Ã © â € ™ ä ½ \xa0 å ¥ в а Р С Ў ο ν 你 好 ， 。 ！ ａ １ ： ＠ ｶ ﾞ ﬁ "
    "𝓗 ⓗ x² ½ ① ⼀ \u200b \u200c \u200d \u202e \u2066 \ufe0f \ufeff \u00ad \u3000 \u2028 \x00 \x85 \x9f 👩 ❤ 💻 🏴 \U000e0067 می e\u0301 "
    "&amp; &lt; &#39; &#8203; &nbsp; https://a.b/c Ã© â€™ 浣犲ソ РїСЂРё don't html"
)
ODD = st.sampled_from(PIECES.split(" "))
HOSTILE = st.lists(st.one_of(ODD, st.just(" "), st.characters()), max_size=40).map("".join)
# Python calls these printable; they have no ink.
INKLESS = set("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u180b\u180c\u180d\u180f") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}


@given(HOSTILE)
def test_doing_it_twice_changes_nothing_more(text: str) -> None:
    once = normalize_text(text).text
    again = normalize_text(once)
    assert again.text == once
    assert again.changes == {}


@given(HOSTILE)
def test_what_changed_is_counted_and_what_did_not_is_not(text: str) -> None:
    done = normalize_text(text)
    assert bool(done.changes) == (done.text != text)
    assert all(places > 0 for places in done.changes.values())


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="&")))
def test_clean_ascii_stays(text: str) -> None:
    text = text.strip()
    assert normalize_text(text).text == text


@given(st.text("我想知道这个东西怎么用麻烦你解释一下谢，。！？、：；（）《》“”…—", min_size=1))
def test_clean_chinese_stays(text: str) -> None:
    assert normalize_text(text).text == text


@given(HOSTILE.filter(lambda text: "`" not in text))
def test_code_loses_invisible_characters_only(code: str) -> None:
    before, fenced, after = "Look at ", f"```python\n{code}\n```\n", "Thanks."
    done = normalize_text(f"{before}\n{fenced}{after}").text
    assert done == f"{before.rstrip()}\n{remove_invisible(fenced)[0]}{after}"


@given(HOSTILE)
def test_only_invisible_characters_are_removed_as_such(text: str) -> None:
    removed = set(text) - set(remove_invisible(text)[0])
    assert not any(each.isprintable() and not each.isspace() for each in removed - INKLESS)


@given(HOSTILE)
def test_passages_add_up_to_the_text(text: str) -> None:
    assert "".join(each.text for each in passages(text)) == text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("zero\u200bwidth \u202eright-to-left\u202c", "zerowidth right-to-left"),
        ("soft\u00adhyphen", "softhyphen"),
        ("Hi\U000e0069\U000e0067\U000e006e\U000e006f\U000e0072\U000e0065!", "Hi!"),
        ("smuggled 😀\ufe01\ufe02\ufe03 bytes", "smuggled 😀\ufe01 bytes"),
        ("nul\x00 and bell\x07", "nul and bell"),
        ("ｈｅｌｌｏ　ｗｏｒｌｄ！", "hello world!"),
        ("ＡＢＣ１２３，你好！", "ABC123，你好！"),
        ("请发到ａｂｃ＠ｅｘａｍｐｌｅ．ｃｏｍ。", "请发到abc@example.com。"),
        ("ﬁne aﬄuent", "fine affluent"),
        ("ｶﾞｰﾄﾞ", "ガード"),
        ("𝓗𝓮𝓵𝓵𝓸 ⓦⓞⓡⓛⓓ 🅵🅸🅽🅴", "Hello world FINE"),
        ("⼀个⽉", "一个月"),
        ("ﻣﺮﺣﺒﺎ", "مرحبا"),
        ("cafe\u0301", "café"),
        ("рaypal, аpple, Micrоsoft", "paypal, apple, Microsoft"),
        ("passwοrd", "password"),
        ("привeт", "привет"),
        ("don&#39;t &quot;quote&quot; Tom &amp; Jerry", 'don\'t "quote" Tom & Jerry'),
        ("a &amp;lt; b &amp;amp;&amp; c", "a < b && c"),
        ("a\u00a0b\u2003c", "a b c"),
        ("one  \r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("a\n\n\n\n\n\nb", "a\n\n\nb"),
        ("\n\n  indented\nend \n", "  indented\nend"),
        ("caf\u00c3\u00a9 &amp; cr\u00c3\u00aape\u200b", "café & crêpe"),
    ],
)
def test_faults_are_repaired(given: str, expected: str) -> None:
    assert normalize_text(given).text == expected


@pytest.mark.parametrize(
    "text",
    [
        "x² + y² = r², H₂O, ½ cup, 5 ℃, ™, №5, Ⅳ",
        "𝑥 and 𝑦 in a formula",
        "① 第一 ② 第二",
        "你好，世界！（测试）“引号”……",
        "第一行　第二行",
        "می‌خواهم کتاب‌ها را بخوانم",
        "क्‍ष और र्‍य",
        "👩‍💻 👨‍👩‍👧 ❤️ 1️⃣ 🏳️‍🌈",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f wins",
        "葛\U000e0100城市 辻\U000e0101",
        "μm, Δx, λ = 5, νmax, ρgh, αβ",
        "Привет, мир! Wi-Fi, IT-отдел, iPhoneа, PDFка",
        "Καλημέρα κόσμε",
        "神社の神、福島の福",
        "What does &nbsp; mean?",
        "How do I escape &lt; in HTML?",
        "<b>Tom &amp; Jerry</b>",
        "https://example.com/?a=1&amp;b=2 and `&lt;`",
        "def f():\n    if x:\n        return  1\n\n\ndef g(): ...",
        "| a  | b  |\n|----|----|\n| 1  | 2  |",
        "R&D, AT&T; Q&A",
    ],
)
def test_what_is_meant_stays(text: str) -> None:
    assert normalize_text(text).text == text


def test_a_completion_prompt_keeps_its_edges() -> None:
    assert normalize_text("\nOnce upon a ", trim=False).text == "\nOnce upon a "


@pytest.mark.parametrize(
    "piece",
    [
        "&amp;",
        "&",
        "`",
        "```\n",
        "~~~\n",
        "\u200d",
        "а",
        "Ã",
        "Ã©",
        " \n",
        "ⓐ ",
        "<",
        "a@",
        "@a.",
        "://",
        "ﬁ\u0301",
        "浣",
    ],
)
def test_a_hostile_text_takes_linear_time(piece: str) -> None:
    # Quadratic work on 200,000 characters would run into the suite's time limit.
    normalize_text(piece * (200_000 // len(piece)))
