import pytest

from headrace.pipeline.steps.normalize.text import normalize_text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("caf\u00c3\u00a9 it\u00e2\u20ac\u2122s", "café it’s"),
        ("ä½\xa0å¥½", "你好"),
        ("don&#39;t", "don't"),
        ("рaypal", "paypal"),
        ("ｈｅｌｌｏ　ｗｏｒｌｄ！", "hello world!"),
        ("zero\u200bwidth", "zerowidth"),
        ("a\u00a0b  \n\n\n\n\nc", "a b\n\n\nc"),
    ],
)
def test_damage_is_repaired(given: str, expected: str) -> None:
    assert normalize_text(given).text == expected
