"""Chinese names, and words that begin with a surname."""

import pytest

from headrace.screening.detectors.chinese_name import ChineseNameDetector

DETECTOR = ChineseNameDetector()


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("我叫陈思远，想咨询", ["陈思远"]),
        ("联系人：赵敏", ["赵敏"]),
        ("请寄给刘建国先生", ["刘建国"]),
        ("刚才和李志强说了", ["李志强"]),
        ("欧阳静老师的课", ["欧阳静"]),
        ("张伟和李娜在上海", ["张伟", "李娜"]),
    ],
)
def test_names_are_found(text: str, names: list[str]) -> None:
    assert found(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "高兴的是，王国的人民过上了和平的生活。",
        "请解释一下马克思主义和黄金分割。",
        "许多人认为任何时候都应该安全第一。",
        "张开双臂，向上跳，马上就能看到效果。",
        "周末去苏州还是杭州比较好？",
        "请写一首关于白云和金山的诗。",
        "王先生来了",
    ],
)
def test_words_are_left_alone(text: str) -> None:
    assert found(text) == []
