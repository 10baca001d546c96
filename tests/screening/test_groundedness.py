"""How far sentences stand on passages: on the labelled set, and in the cases that must be right."""

from pathlib import Path

import msgspec
import pytest

from headrace.models.embedder import ModelEmbedder
from headrace.screening.groundedness.sentence import sentences, windows
from headrace.screening.groundedness.support import SupportModel

LABELLED = Path(__file__).parent / "groundedness.jsonl"
LEAVE = (
    "Full-time employees receive 25 days of paid leave per calendar year. Unused days may be "
    "carried over until 31 March of the following year; after that they expire."
)
ZH = "全职员工每年享有15天带薪年假。未休的年假可以顺延到次年3月31日，逾期作废。"


class Group(msgspec.Struct):
    language: str
    split: str
    passage: str
    supported: list[str]
    unsupported: list[str]


def scored(model: SupportModel, split: str) -> tuple[list[float], list[float]]:
    groups = map(msgspec.json.Decoder(Group).decode, LABELLED.read_bytes().splitlines())
    good, bad = list[float](), list[float]()
    for group in groups:
        if group.split == split:
            good += (model.score(claim, group.passage) for claim in group.supported)
            bad += (model.score(claim, group.passage) for claim in group.unsupported)
    return good, bad


def test_the_labelled_set_is_large_enough_and_in_two_languages() -> None:
    groups = list(map(msgspec.json.Decoder(Group).decode, LABELLED.read_bytes().splitlines()))
    count = sum(len(each.supported) + len(each.unsupported) for each in groups)
    assert count >= 200
    passages = [each.passage for each in groups]
    assert len(set(passages)) == len(passages)
    for language in ("en", "zh"):
        assert {each.split for each in groups if each.language == language} == {"train", "held-out"}


def test_it_tells_supported_from_unsupported_on_passages_that_the_fit_never_saw() -> None:
    good, bad = scored(SupportModel.load(None), "held-out")
    wins = sum((a > b) + 0.5 * (a == b) for a in good for b in bad)
    assert wins / (len(good) * len(bad)) > 0.85
    found = sum(score < 0.5 for score in bad)
    false_alarms = sum(score < 0.5 for score in good)
    assert found / len(bad) > 0.65
    assert found / (found + false_alarms) > 0.8


@pytest.mark.parametrize(
    ("claim", "source", "holds"),
    [
        ("Full-time employees receive 25 days of paid leave.", LEAVE, True),
        ("Full-time employees receive 26 days of paid leave.", LEAVE, False),
        ("Full-time employees receive twenty days of paid leave.", LEAVE, False),
        ("Unused days may not be carried over.", LEAVE, False),
        ("The canteen serves soup on Fridays.", LEAVE, False),
        ("全职员工每年有15天带薪年假。", ZH, True),
        ("全职员工每年有十五天带薪年假。", ZH, True),
        ("全职员工每年有二十天带薪年假。", ZH, False),
        ("食堂周五供应面条。", ZH, False),
    ],
)
def test_numbers_negation_and_strangers_are_told(claim: str, source: str, holds: bool) -> None:
    assert (SupportModel.load(None).score(claim, source) >= 0.5) is holds


def test_the_best_source_is_named() -> None:
    verdict = SupportModel.load(None).verdict("Employees receive 25 days of leave.", [ZH, LEAVE])
    assert verdict.source == 1
    assert SupportModel.load(None).verdict("Anything.", []).source is None


async def test_the_built_in_embedding_model_is_calibrated(embedder: ModelEmbedder) -> None:
    assert SupportModel.load(embedder.id).uses_similarity
    assert not SupportModel.load("another").uses_similarity


def test_sentences_keep_their_place_and_lose_their_marks() -> None:
    text = "# Leave\n\n- You get 25 days [1]. Mr. Smith gets 3.5 more! 年假15天。[2]还有吗？\n```\nx = 1.\n```\n"
    found = sentences(text)
    assert [each.text for each in found] == [
        "Leave", "You get 25 days.", "Mr. Smith gets 3.5 more!", "年假15天。", "还有吗？",
    ]  # fmt: skip
    assert text[found[1].start : found[1].end] == "- You get 25 days [1]."


@pytest.mark.parametrize(
    "text",
    ["Do you need more?", "I do not know.", "The passages do not say.", "资料中没有提到。", "Ok.",
     "Here is what I found:", "Hello Ada, let me help."],
)  # fmt: skip
def test_what_claims_nothing_needs_no_support(text: str) -> None:
    assert not any(each.claims for each in sentences(text))


def test_windows_are_runs_of_neighbouring_sentences() -> None:
    assert windows("One is here. Two is here. Three is here. Four is here.") == [
        "One is here. Two is here. Three is here.",
        "Two is here. Three is here. Four is here.",
    ]
    assert windows("") == []
