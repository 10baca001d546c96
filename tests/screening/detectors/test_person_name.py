"""Names in Latin script, and what looks like one."""

import pytest

from headrace.screening.detectors.person_name import PersonNameDetector

DETECTOR = PersonNameDetector()


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("My name is Siobhan Gallagher.", ["Siobhan Gallagher"]),
        ("Dr. Helena Lindqvist and Mr. Abernathy", ["Helena Lindqvist", "Abernathy"]),
        ("John F. Kennedy met Ludwig van Beethoven", ["John F. Kennedy", "Ludwig van Beethoven"]),
        ("Hi Maria, thanks", ["Maria"]),
        ("Margaret O'Sullivan's house", ["Margaret O'Sullivan"]),
        ("请联系John Smith。", ["John Smith"]),
        ("José García refuses", ["José García"]),
        ("Hello, I'm Ada Lovelace, hi", ["Ada Lovelace"]),
        ("That’s Ada Lovelace there", ["Ada Lovelace"]),
        ("Please call Geetika Kamdar now", ["Geetika Kamdar"]),
    ],
)
def test_names_are_found(text: str, names: list[str]) -> None:
    assert found(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "In May Will you come? Mark it, Bill.",
        "The Stanford University is near Palo Alto.",
        "Please Find Attached The Quarterly Report",
        "John Hopkins University and the Charles River",
        "Paris, London and Jordan are places.",
        "Dear Sir or Madam",
        "Monday Morning Meeting",
        "He lives at 4880 Anita Plaza.",
        "Java, Ruby and Python",
    ],
)
def test_other_capitals_are_left_alone(text: str) -> None:
    assert found(text) == []


def test_what_introduces_a_name_makes_it_surer() -> None:
    (plain,) = DETECTOR.detect("We saw Laura Bennett there")
    (named,) = DETECTOR.detect("My name is Laura Bennett")
    assert plain.score < named.score == 1.0
