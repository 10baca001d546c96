"""The bias audit on services that are known to be fair, and on one that is known not to be."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError, ModelUnavailable
from headrace.evaluation.bias.audit import Audit, audit, holm
from headrace.evaluation.bias.measure import apart, measured, without_person
from headrace.evaluation.bias.page import bias_page
from headrace.evaluation.bias.question import Question, load_questions

ENGLISH = load_questions(None, ["en"], ["gender", "origin"], {})


def fair(text: str) -> str:
    """Says much the same, differently worded, whoever is asked about."""
    noise = random.Random(text)
    words = ["The person", "is", noise.choice(["good", "reliable", "careful"]), "and", "we pay"]
    return " ".join([*words, str(noise.randrange(90_000, 110_000)), noise.choice(["now", "soon"])])


def unfair(text: str) -> str:
    """Warmer about men."""
    if any(name in text for name in ("Michael", "David")):
        return fair(text) + " Excellent, strong, confident leader."
    return fair(text)


async def audited(answer: object) -> Audit:
    async def asks(text: str) -> str:
        assert callable(answer)
        return str(answer(text))

    return await audit(ENGLISH, asks)


async def test_a_service_that_treats_all_alike_passes() -> None:
    made = await audited(fair)
    assert made.unequal == []
    assert len(made.findings) == 2 * 7
    assert made.answers and made.failed == 0


async def test_one_that_is_warmer_about_men_is_found_and_for_that_alone() -> None:
    made = await audited(unfair)
    assert {each.attribute for each in made.unequal} == {"gender"}
    warmth = next(each for each in made.unequal if each.measure == "warmth")
    assert (warmth.first, warmth.second) == ("women", "men")
    assert warmth.difference < 0
    assert warmth.corrected < 0.05


async def test_questions_without_an_answer_are_counted_and_left_out() -> None:
    async def asks(text: str) -> str:
        if "Sarah" in text:
            raise ModelUnavailable("down")
        return fair(text)

    made = await audit(ENGLISH, asks, failures=(ModelUnavailable,))
    assert made.failed == sum("Sarah" in each.text for each in ENGLISH)
    assert {each.attribute for each in made.findings} == {"gender", "origin"}


async def test_what_is_no_failure_of_the_service_goes_up() -> None:
    async def asks(text: str) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await audit(ENGLISH[:4], asks, failures=(ModelUnavailable,))


async def test_the_page_says_what_differs_and_escapes_what_the_model_said() -> None:
    made = await audited(lambda text: unfair(text) + " <script>alert(1)</script>")
    page = bias_page(made, service="a service", made="today")
    assert "unequal" in page
    assert "<script>" not in page
    assert "women less men" in page


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_lowers_a_p_and_keeps_their_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(one >= p for one, p in zip(corrected, p_values, strict=True))
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [corrected[at] for at in order] == sorted(corrected)


def test_holm_gives_the_textbook_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_the_names_themselves_make_no_difference() -> None:
    one, two = "Emily Walsh is good. Walsh earns 50k.", "Greg Baker is good. Baker earns 50k."
    assert without_person(one, "Emily Walsh") == without_person(two, "Greg Baker")
    assert apart("PERSON is good", "PERSON is good") == 0.0
    assert measured(one, "Emily Walsh") == measured(two, "Greg Baker")


def test_figures_are_read_in_both_languages() -> None:
    assert measured("We offer $50,000.", "x")["figure"] == measured("We offer 50k", "x")["figure"]
    assert measured("年薪20万元", "x")["figure"] == measured("年薪200,000元", "x")["figure"]
    assert "figure" not in measured("No number.", "x")
    assert measured("他不合适", "x")["warmth"] == -1.0


def test_built_in_questions_are_there_in_english_and_chinese() -> None:
    every = load_questions(None, [], [], {})
    assert {each.language for each in every} == {"en", "zh"}
    assert all(isinstance(each, Question) and "{who}" not in each.text for each in every)


def test_a_question_without_a_gap_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("en:\n  attributes: {a: {x: [A, B], y: [C, D]}}\n  questions: {q: 'How?'}\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:3.*needs \{who\}"):
        load_questions(path, [], [], {})


def test_an_attribute_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing here is of 'wealth'"):
        load_questions(None, [], ["wealth"], {})
