"""The search for a better template: what it asks, in what order, and what it may conclude."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config.node import parse_yaml
from headrace.errors import InvalidRequest
from headrace.pipeline.optimise import Asked, Found, Split, optimise, split
from headrace.prompts.candidate import Candidate, candidates
from headrace.prompts.file import Expectation, PromptTest
from headrace.prompts.labelled import Labelled
from headrace.prompts.reader import read_template
from headrace.prompts.template import PromptTemplate


def template_from(text: str) -> PromptTemplate:
    return read_template(parse_yaml(text, "t.yaml", {}, root=Path()), "t", Path())


BASE = template_from("messages: {system: {default: Sort., zh: 分类。}}\n")


def cases_of(count: int) -> list[Labelled]:
    return [
        Labelled(PromptTest(user=f"q{at}", expect=Expectation(equals=f"a{at}")), f"a{at}")
        for at in range(count)
    ]


class Answers:
    """Scores by a rule, and who was asked what."""

    def __init__(self, good: str, base: float = 0.0) -> None:
        self.good = good
        self.base = base
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, template: PromptTemplate, test: PromptTest) -> Asked:
        self.asked.append((template.digest, test.user))
        return Asked(1.0 if template.digest == self.good else self.base, len(str(template.file)))


async def searched(
    tried: list[Candidate], parts: Split, answers: Answers, scores: dict[str, Asked] | None = None
) -> Found:
    return await optimise(
        tried, parts, answers, release="r1", scores={} if scores is None else scores
    )


@given(count=st.integers(10, 80), seed=st.integers(0, 5))
def test_no_case_is_on_two_sides(count: int, seed: int) -> None:
    parts = split(cases_of(count) + cases_of(3), seed=seed)
    sides = [
        [each.test.user for each in parts.pool],
        [each.user for each in parts.search],
        [each.user for each in parts.held_out],
    ]
    everything = [user for side in sides for user in side]
    assert len(everything) == len(set(everything)) == count
    assert len(parts.held_out) >= 4
    assert len(parts.search) >= 3


def test_too_few_cases_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="9 different cases; fewer than 10"):
        split(cases_of(9) * 2, seed=0)


def test_candidates_differ_and_begin_with_the_template_as_it_is() -> None:
    parts = split(cases_of(40), seed=1)
    tried = candidates(BASE, parts.pool, most=20, seed=1)
    assert tried[0] == Candidate(BASE, "")
    assert len({each.template.digest for each in tried}) == len(tried) == 20
    held = {each.user for each in (*parts.held_out, *parts.search)}
    shown = {e.user for each in tried for e in each.template.examples.entries}
    assert shown
    assert not shown & held
    again = candidates(BASE, parts.pool, most=20, seed=1)
    assert [each.template.digest for each in again] == [each.template.digest for each in tried]


def test_an_instruction_goes_behind_the_system_prompt_of_each_language() -> None:
    tried = candidates(
        BASE, [], most=3, seed=0, instructions=[{"default": "Be brief.", "zh": "简短。"}]
    )
    assert len(tried) == 2
    assert tried[1].template.file.messages.system == {
        "default": "Sort.\nBe brief.",
        "zh": "分类。\n简短。",
    }


def test_a_template_that_thinks_gets_no_examples_without_a_thought() -> None:
    base = template_from("reasoning: hidden\nmessages: {system: Think.}\n")
    tried = candidates(base, cases_of(20), most=20, seed=0)
    assert all(not each.template.examples.entries for each in tried)


async def test_the_best_wins_and_held_out_cases_are_asked_once_of_two_only() -> None:
    parts = split(cases_of(40), seed=1)
    tried = candidates(BASE, parts.pool, most=16, seed=1)
    good = tried[9].template.digest
    answers = Answers(good)
    found = await searched(tried, parts, answers)
    assert found.winner == tried[9]
    assert (set(found.before), set(found.after)) == ({0.0}, {1.0})
    assert max(Counter(answers.asked).values()) == 1
    held = {each.user for each in parts.held_out}
    assert {digest for digest, user in answers.asked if user in held} == {BASE.digest, good}
    first = min(at for at, (_, user) in enumerate(answers.asked) if user in held)
    assert all(user in held for _, user in answers.asked[first:])
    # Halving asks far less than everybody everything.
    assert len(answers.asked) < len(tried) * len(parts.search)
    assert [each.candidates for each in found.rounds][:3] == [16, 8, 4]


async def test_what_is_no_better_does_not_win() -> None:
    parts = split(cases_of(20), seed=1)
    tried = candidates(BASE, parts.pool, most=8, seed=1)
    found = await searched(tried, parts, Answers("nobody", base=1.0))
    assert found.winner == tried[0]
    assert found.before == found.after


async def test_what_was_asked_before_is_not_asked_again_of_the_same_release() -> None:
    parts = split(cases_of(20), seed=1)
    tried = candidates(BASE, parts.pool, most=8, seed=1)
    scores: dict[str, Asked] = {}
    first, again = Answers(tried[3].template.digest), Answers(tried[3].template.digest)
    found = await searched(tried, parts, first, scores)
    assert await searched(tried, parts, again, scores) == found
    assert again.asked == []
    await optimise(tried, parts, again, release="r2", scores=scores)
    assert len(again.asked) == len(first.asked)


async def test_progress_comes_to_its_end_and_no_further() -> None:
    parts = split(cases_of(30), seed=1)
    tried = candidates(BASE, parts.pool, most=11, seed=1)
    seen: list[tuple[int, int]] = []
    await optimise(
        tried,
        parts,
        Answers(tried[3].template.digest),
        release="r",
        scores={},
        report=lambda done, total: seen.append((done, total)),
    )
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert all(done <= total for done, total in seen)
    assert seen[0][1] - len(seen) <= len(parts.search)
