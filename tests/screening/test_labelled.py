"""A small labelled set, English and Chinese: everything on it is found, and nothing else.

`labelled.json`: `positives` by kind, each a text with what must be found in it between ⟦ and ⟧;
`negatives`, texts in which no detector may find anything. Detectors' own tests go deeper; this
one runs them all together, as a service does.
"""

import json
import re
from pathlib import Path

import pytest

from headrace.screening.content.detector import ContentDetector
from headrace.screening.registry import detectors

# ‖ stands inside made-up keys, so that no scanner takes the file's for real ones.
SET = json.loads((Path(__file__).parent / "labelled.json").read_text("utf-8").replace("‖", ""))
_MARKED = re.compile("⟦(.*?)⟧", re.DOTALL)


def found(text: str) -> set[tuple[str, str]]:
    return {
        (span.kind, text[span.start : span.end])
        for name, (detector, _) in detectors().items()
        # Content is a matter of degree: bench/screening/content.py says how often it is mistaken.
        # So is injection: see tests/screening/detectors/test_injection.py.
        if not isinstance(detector, ContentDetector) and name not in ("injection", "instruction")
        for span in detector.detect(text)
    }


@pytest.mark.parametrize("kind", sorted(SET["positives"]))
def test_everything_labelled_is_found_and_nothing_beside_it(kind: str) -> None:
    marked: list[str] = SET["positives"][kind]
    wrong = {
        text: found(_MARKED.sub(r"\1", text))
        for text in marked
        if found(_MARKED.sub(r"\1", text)) != {(kind, each) for each in _MARKED.findall(text)}
    }
    assert len(marked) >= 6
    assert wrong == {}


def test_nothing_is_found_in_ordinary_texts() -> None:
    negatives: list[str] = SET["negatives"]
    assert len(negatives) == 50
    assert {text: found(text) for text in negatives if found(text)} == {}


def test_both_languages_are_on_the_list() -> None:
    texts = [*SET["negatives"], *(each for texts in SET["positives"].values() for each in texts)]
    chinese = sum(re.search(r"[\u4e00-\u9fff]", each) is not None for each in texts)
    assert chinese >= 30
    assert len(texts) - chinese >= 60


def test_detectors_of_persons_and_secrets_declare_languages_and_cost() -> None:
    told = {
        name: (getattr(each, "languages", None), getattr(each, "cost_us", None))
        for name, (each, _) in detectors().items()
        if name != "injection"
    }
    assert {name for name, (languages, cost) in told.items() if not languages or not cost} == set()
