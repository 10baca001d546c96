"""Examples from traces: consent before anything else, masks for good, provenance kept."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import pytest

from headrace.datasets.example import Example
from headrace.datasets.harvest import Harvest, Wanted, harvest
from headrace.types import Choice, Message


@dataclass
class Turn:
    id: str = "t1"
    subject: str = "s_ann"
    status: str = "ok"
    model: str = "m"
    template: str = "assistant@abc"
    release: str = "sha256:1"
    language: str = "en"
    question: str = "Write to ann@example.org"
    answer: str = "I wrote to ann@example.org."

    @property
    def input(self) -> str:
        return msgspec.json.encode([Message(role="user", content=self.question)]).decode()

    @property
    def output(self) -> str:
        return msgspec.json.encode([Choice(text=self.answer)]).decode()


class Unreadable(Turn):
    """Of somebody who allowed nothing: whoever reads it fails."""

    @property
    def input(self) -> str:
        raise AssertionError("the text was read without consent")


def mask(text: str) -> tuple[str, list[str]]:
    found = text.count("ann@example.org")
    return text.replace("ann@example.org", "[EMAIL]"), ["email"] * found


def run(
    *turns: Turn,
    wanted: Wanted | None = None,
    consents: Mapping[str, str] | None = None,
    scores: Mapping[str, int] | None = None,
    corrections: Mapping[str, str] | None = None,
) -> tuple[list[Example], Harvest]:
    report = Harvest()
    held = {"s_ann": "c1"} if consents is None else consents
    made = harvest(turns, held, scores or {}, corrections or {}, mask, wanted or Wanted(), report)
    return list(made), report


def test_an_example_is_masked_and_says_where_it_is_from() -> None:
    (example,), report = run(Turn())
    assert [each.text() for each in example.messages] == [
        "Write to [EMAIL]",
        "I wrote to [EMAIL].",
    ]
    provenance = example.provenance
    assert (provenance.trace, provenance.subject, provenance.consent) == ("t1", "s_ann", "c1")
    assert report.masked == {"email": 2}


def test_nothing_of_a_person_is_read_without_consent() -> None:
    made, report = run(Unreadable(subject="s_bob"), consents={"s_ann": "c1"})
    assert made == []
    assert report.left_out == {"no consent": 1}


@pytest.mark.parametrize(
    ("turn", "wanted", "reason"),
    [
        (Turn(status="blocked"), Wanted(), "did not end well"),
        (Turn(), Wanted(least_score=1), "not rated so"),
        (Turn(), Wanted(model="other"), "another model"),
        (Turn(), Wanted(language="zh"), "another language"),
        (Turn(), Wanted(template="other"), "another template"),
        (Turn(answer="  "), Wanted(), "no text to learn"),
        (Turn(question=" "), Wanted(), "no text to learn"),
    ],
)
def test_what_is_not_wanted_is_left_out_and_counted(
    turn: Turn, wanted: Wanted, reason: str
) -> None:
    made, report = run(turn, wanted=wanted)
    assert made == []
    assert report.left_out == {reason: 1}


def test_what_is_wanted_is_taken() -> None:
    wanted = Wanted(least_score=1, model="m", language="en", template="assistant")
    made, report = run(Turn(), Turn(id="t2"), wanted=wanted, scores={"t1": 1, "t2": -1})
    assert [each.provenance.trace for each in made] == ["t1"]
    assert (report.looked_at, report.taken) == (2, 1)


def test_a_correction_is_learned_instead_of_the_answer_and_masked_alike() -> None:
    wanted = Wanted(least_score=1)
    made, report = run(
        Turn(), wanted=wanted, scores={"t1": -1}, corrections={"t1": "Sent to ann@example.org."}
    )
    assert [each.messages[-1].text() for each in made] == ["Sent to [EMAIL]."]
    assert report.masked == {"email": 2}


def test_a_correction_needs_consent_too() -> None:
    made, report = run(Unreadable(subject="s_bob"), corrections={"t1": "Better."})
    assert made == []
    assert report.left_out == {"no consent": 1}


def test_corrected_answers_become_pairs() -> None:
    wanted = Wanted(as_pairs=True)
    made, report = run(Turn(), Turn(id="t2"), wanted=wanted, corrections={"t2": "Done."})
    (pair,) = made
    assert (pair.kind, pair.provenance.trace) == ("preference", "t2")
    assert [each.text() for each in pair.chosen] == ["Done."]
    assert [each.text() for each in pair.rejected] == ["I wrote to [EMAIL]."]
    assert report.left_out == {"not corrected": 1}
    only, _ = run(
        Turn(), Turn(id="t2"), wanted=Wanted(only_corrected=True), corrections={"t2": "x"}
    )
    assert [each.provenance.trace for each in only] == ["t2"]
