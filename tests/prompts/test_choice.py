"""Choice of a template: rules, and the classifier on questions that it never learnt from."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from headrace.errors import InvalidRequest
from headrace.prompts.choice.classifier import Classifier, Ranked
from headrace.prompts.choice.gram import buckets, heart
from headrace.prompts.choice.rule import Asked, Rules
from headrace.prompts.choice.settings import RuleSettings
from headrace.prompts.library import builtin_templates
from headrace.prompts.vector import Vectors
from headrace.types import Embedder

HELD_OUT = Path(__file__).parent / "choice_held_out.yaml"


@pytest.mark.parametrize(
    ("rule", "holds", "fails"),
    [
        (
            RuleSettings(template="t", languages=["zh"]),
            Asked(text="x", language="zh-TW"),
            Asked(text="x", language="en"),
        ),
        (
            RuleSettings(template="t", matches="(?i)^translate|翻译"),
            Asked(text="请翻译一下"),
            Asked(text="Please translate"),
        ),
        (RuleSettings(template="t", any_of=["REFUND"]), Asked(text="my refund"), Asked(text="hi")),
        (
            RuleSettings(template="t", metadata={"channel": "shop"}),
            Asked(text="x", metadata={"channel": "shop", "more": "y"}),
            Asked(text="x", metadata={"channel": "blog"}),
        ),
        (
            RuleSettings(template="t", variables=["documents"]),
            Asked(text="x", variables={"documents": 1}),
            Asked(text="x"),
        ),
        (RuleSettings(template="t", tools=True), Asked(text="x", has_tools=True), Asked(text="x")),
        (RuleSettings(template="t", tools=False), Asked(text="x"), Asked(text="x", has_tools=True)),
        (
            RuleSettings(template="t", attachments=True),
            Asked(text="x", has_attachments=True),
            Asked(text="x"),
        ),
        (RuleSettings(template="t", min_chars=3), Asked(text="abc"), Asked(text="ab")),
        (RuleSettings(template="t", max_chars=2), Asked(text="ab"), Asked(text="abc")),
        (
            RuleSettings(template="t", languages=["en"], min_chars=2),
            Asked(text="ab", language="en"),
            Asked(text="a", language="en"),
        ),
    ],
)
def test_a_rule_holds_when_all_it_says_does(rule: RuleSettings, holds: Asked, fails: Asked) -> None:
    rules = Rules([rule])
    assert rules.first(holds) == (1, "t")
    assert rules.first(fails) is None


def test_the_first_rule_that_holds_decides() -> None:
    rules = Rules([RuleSettings(template=name, min_chars=n) for name, n in (("a", 5), ("b", 1))])
    assert rules.first(Asked(text="abcdef")) == (1, "a")
    assert rules.first(Asked(text="abc")) == (2, "b")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (RuleSettings(template="t"), "rule 1 holds for every request"),
        (RuleSettings(template="t", matches="("), "rule 1: `matches` is not a regular expression"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rule: RuleSettings, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        Rules([rule])


def test_of_a_long_message_its_beginning_and_its_end_count() -> None:
    text = "Summarise this: " + "word " * 1000 + "In one line."
    assert heart(text).startswith("Summarise this:")
    assert heart(text).endswith("In one line.")
    assert len(heart(text)) < 700


@pytest.mark.parametrize("text", ["", "?", "译", "a\u0000b", "🎉", " "])
def test_any_text_has_letters_or_none(text: str) -> None:
    assert len(buckets(text)) == len(set(buckets(text).tolist()))


def test_an_unknown_word_says_nothing() -> None:
    questions = {"a": ["apple pie", "apple cake"], "b": ["brown bear", "black bear"]}
    classifier = Classifier.fit(questions, np.zeros((4, 3), np.float32))
    with_word = classifier.rank("apple zzzqqq", np.zeros(3, np.float32))
    assert with_word is not None
    assert with_word.name == "a"
    alone = classifier.rank("qqqzzzxx", np.zeros(3, np.float32))
    assert alone is not None
    assert alone.confidence == pytest.approx(0.5, abs=0.01)


def test_only_templates_that_may_be_are_chosen() -> None:
    questions = {"a": ["apple"], "b": ["bear"], "c": ["cat"]}
    classifier = Classifier.fit(questions, np.eye(3, dtype=np.float32))
    vector = np.zeros(3, np.float32)
    found = classifier.rank("apple", vector, {"b", "c"})
    assert found is not None
    assert {found.name, found.runner_up} == {"b", "c"}
    assert classifier.rank("apple", vector, {"b"}) == Ranked("b", 1.0, "", 0.0)
    assert classifier.rank("apple", vector, ()) is None


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="session")
async def test_held_out_questions_find_their_template(multilingual: Embedder) -> None:
    questions = {
        name: tuple(map(heart, each.file.scenario.asks))
        for name, each in sorted(builtin_templates().items())
        if each.file.scenario.asks
    }
    held_out = yaml.safe_load(HELD_OUT.read_text("utf-8"))
    assert set(held_out) == set(questions)
    learnt = {each for texts in questions.values() for each in texts}
    vectors = await Vectors(multilingual).of(
        [each for texts in questions.values() for each in texts]
    )
    classifier = Classifier.fit(questions, vectors)
    share, sure = {}, []
    for language, least in (("en", 15), ("zh", 8)):
        rows = [(name, heart(text)) for name in held_out for text in held_out[name][language]]
        assert all(len(held_out[name][language]) >= least for name in held_out)
        assert not learnt & {text for _, text in rows}
        asked = await multilingual.embed([text for _, text in rows], kind="query")
        ranked = [
            (name, found)
            for (name, text), vector in zip(rows, asked, strict=True)
            if (found := classifier.rank(text, vector)) is not None
        ]
        share[language] = sum(found.name == name for name, found in ranked) / len(rows)
        sure += [found.name == name for name, found in ranked if found.confidence >= 0.6]
    # Measured: 0.875 and 0.898; those it is sure of (90 of 100), 0.935.
    assert share["en"] >= 0.85
    assert share["zh"] >= 0.87
    assert sum(sure) / len(sure) >= 0.92


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="session")
async def test_built_in_questions_come_with_their_vectors(multilingual: Embedder) -> None:
    """If it fails: `python tools/embed_asks.py --home .cache/headrace`."""

    class Silent:
        id = multilingual.id

        async def embed(self, texts: object, **_: object) -> object:
            raise AssertionError(f"not shipped: {texts}")

    texts = [heart(ask) for each in builtin_templates().values() for ask in each.file.scenario.asks]
    shipped = await Vectors(Silent()).of(texts)  # type: ignore[arg-type]  # only asked when wrong
    made = await multilingual.embed(texts[::40], kind="query")
    assert (shipped[::40] * made).sum(axis=1).min() > 0.99
