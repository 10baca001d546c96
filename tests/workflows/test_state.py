"""The planner and the state machine, over any graph, any failures and any order of endings."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.workflows.plan import Cycle, ordered
from headrace.workflows.state import ENDED, GOOD, Progress, StepStatus
from tests.workflows.graph import graphs, plan_of

OUTCOMES: st.SearchStrategy[StepStatus] = st.sampled_from(
    ["succeeded", "succeeded", "unchanged", "failed", "skipped"]
)


def driven(
    needs: dict[str, list[str]],
    fates: dict[str, StepStatus],
    always: frozenset[str],
    seed: int,
    *,
    cancel_after: int | None = None,
) -> tuple[Progress, list[str]]:
    """Go through a plan, letting running steps end in a random order; gives who began when."""
    plan, chance = plan_of(needs, always), random.Random(seed)
    progress = Progress(plan)
    running: list[str] = []
    began: list[str] = []
    endings = 0
    while not progress.has_ended:
        if cancel_after is not None and endings >= cancel_after:
            progress.cancel()
        for step, verdict in list(progress.take_ready()):
            assert all(progress.statuses[each] in ENDED for each in step.needs)
            if verdict == "run":
                progress.begin(step.id)
                running.append(step.id)
                began.append(step.id)
            else:
                progress.end(step.id, "skipped" if verdict == "skip" else "blocked")
        if running:
            ending = running.pop(chance.randrange(len(running)))
            progress.end(ending, fates[ending])
            endings += 1
    return progress, began


@given(data=st.data(), needs=graphs())
def test_every_step_ends_once_and_none_begins_before_what_it_needs(
    data: st.DataObject, needs: dict[str, list[str]]
) -> None:
    fates = {name: data.draw(OUTCOMES) for name in needs}
    always = data.draw(st.frozensets(st.sampled_from(sorted(needs))))
    progress, began = driven(needs, fates, always, data.draw(st.integers()))
    assert set(progress.statuses.values()) <= ENDED
    assert len(began) == len(set(began))
    for name, status in progress.statuses.items():
        above = {progress.statuses[need] for need in needs[name]}
        if status == "blocked":
            assert above & {"failed", "blocked"}
            assert name not in always
        elif name not in always and name in began:
            assert above <= GOOD


@given(data=st.data(), needs=graphs())
def test_what_steps_come_to_does_not_depend_on_who_ends_first(
    data: st.DataObject, needs: dict[str, list[str]]
) -> None:
    fates = {name: data.draw(OUTCOMES) for name in needs}
    always = data.draw(st.frozensets(st.sampled_from(sorted(needs))))
    one, _ = driven(needs, fates, always, 1)
    other, _ = driven(needs, fates, always, 2)
    assert one.statuses == other.statuses
    assert one.run_status() == other.run_status()


@given(data=st.data(), needs=graphs(), after=st.integers(0, 9))
def test_a_cancelled_run_ends_and_begins_nothing_more(
    data: st.DataObject, needs: dict[str, list[str]], after: int
) -> None:
    fates: dict[str, StepStatus] = dict.fromkeys(needs, "succeeded")
    progress, began = driven(
        needs, fates, frozenset(), data.draw(st.integers()), cancel_after=after
    )
    gone = [name for name, status in progress.statuses.items() if status == "cancelled"]
    assert not set(gone) & set(began)
    assert progress.run_status() == ("cancelled" if gone else "succeeded")


@given(needs=graphs())
def test_a_plan_names_each_step_behind_those_it_needs(needs: dict[str, list[str]]) -> None:
    order = ordered(needs)
    assert sorted(order) == sorted(needs)
    for name in needs:
        assert all(order.index(need) < order.index(name) for need in needs[name])


@given(needs=graphs(), data=st.data())
def test_an_edge_back_is_named_as_a_cycle(needs: dict[str, list[str]], data: st.DataObject) -> None:
    bottom = data.draw(st.sampled_from(sorted(needs)))
    top = bottom
    while needs[top]:
        top = needs[top][0]
    looped = {name: [*needs[name], bottom] if name == top else needs[name] for name in needs}
    with pytest.raises(Cycle) as found:
        ordered(looped)
    names = found.value.names
    assert names[0] == names[-1]
    assert all(b in looped[a] for a, b in itertools.pairwise(names))


def test_a_step_cannot_end_before_its_turn_or_twice() -> None:
    progress = Progress(plan_of({"a": [], "b": ["a"]}))
    with pytest.raises(ValueError, match="before its turn"):
        progress.end("b", "succeeded")
    [(step, _)] = progress.take_ready()
    progress.begin(step.id)
    progress.end("a", "succeeded")
    with pytest.raises(ValueError, match="is succeeded"):
        progress.end("a", "failed")
