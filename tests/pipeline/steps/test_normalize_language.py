import json
from pathlib import Path

import pytest

from headrace.pipeline.steps.normalize.language import LANGUAGES, identify

PROMPTS: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "prompts.json").read_text("utf-8")
)


def test_prompts_in_eighteen_languages_are_hardly_ever_misjudged() -> None:
    judged = [
        (language, prompt, identify(prompt)) for language in PROMPTS for prompt in PROMPTS[language]
    ]
    wrong = [each for each in judged if each[2] not in (None, each[0])]
    unsure = [each for each in judged if each[2] is None]
    assert len(judged) == 434
    assert len(wrong) <= 2, wrong
    assert len(unsure) <= 6, unsure


@pytest.mark.parametrize("language", sorted(PROMPTS))
def test_a_longer_text_is_never_misjudged(language: str) -> None:
    assert identify(" ".join(PROMPTS[language][:6])) == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok",
        "42",
        "xkcd",
        "Paris",
        "Müller",
        "x = y + 1",
        "ISO 9001",
        "C++",
        "да",
        "...",
        "🙂🙂",
    ],
)
def test_what_no_one_could_tell_is_not_guessed(text: str) -> None:
    assert identify(text) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("请用 Python 写一个 quicksort 函数", "zh"),
        ("請問 iPhone 15 Pro Max 多少錢？", "zh"),
        ("Pythonで書いたスクリプトを直して", "ja"),
        ("What does 你好 mean in English?", "en"),
        ("東京駅周辺", "ja"),
        ("Как установить Docker на Ubuntu?", "ru"),
    ],
)
def test_the_language_of_most_words_wins_in_mixed_texts(text: str, language: str) -> None:
    assert identify(text) == language


def test_only_declared_languages_are_answered() -> None:
    assert {identify(" ".join(prompts)) for prompts in PROMPTS.values()} <= LANGUAGES
    assert set(PROMPTS) <= LANGUAGES


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    english = "This is a long report about the weather in the north. " * 20
    assert identify(english + "это конец " * 10_000) == "en"
