"""What a job leaves open, and what follows from seed and step alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.training.errors import TrainingInvalid
from headrace.training.job import FineTune, Hyperparameters
from headrace.training.plan import learning_rate_at, packed, plan_of

SPEC = FineTune(base="file:/x", training="x.jsonl")


def spec(**parameters: object) -> FineTune:
    return FineTune(base="file:/x", training="x.jsonl", parameters=Hyperparameters(**parameters))  # type: ignore[arg-type]


def test_few_examples_are_gone_through_more_often() -> None:
    few, many = (plan_of(SPEC, rows, has_held_out=False) for rows in (40, 4000))
    assert (few.batch_size, few.epochs, few.total_steps) == (4, 6, 60)
    assert (many.batch_size, many.epochs, many.total_steps) == (8, 3, 1500)


def test_steps_win_over_epochs_that_nobody_gave() -> None:
    assert plan_of(spec(max_steps=250), 1, has_held_out=False).total_steps == 250
    both = plan_of(spec(max_steps=250, epochs=2), 40, has_held_out=False)
    assert (both.total_steps, both.epochs) == (20, 2)


@pytest.mark.parametrize(
    ("asked", "every"), [({}, 50), ({"checkpoint_every": 7}, 50), ({"checkpoint_every": 60}, 60)]
)
def test_a_long_run_keeps_no_checkpoint_at_every_step(asked: dict[str, int], every: int) -> None:
    plan = plan_of(spec(max_steps=10_000, **asked), 1, has_held_out=False)
    assert plan.checkpoint_every == every


def test_early_stopping_needs_something_held_out() -> None:
    with pytest.raises(TrainingInvalid, match="held-out"):
        plan_of(spec(early_stopping_patience=2), 10, has_held_out=False)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@given(rows=st.integers(1, 500), steps=st.integers(1, 300), warmup=st.floats(0, 0.9))
def test_the_learning_rate_rises_then_falls_and_is_never_nothing(
    schedule: str, rows: int, steps: int, warmup: float
) -> None:
    asked = spec(max_steps=steps, epochs=1000, schedule=schedule, warmup_ratio=warmup)
    plan = plan_of(asked, rows, has_held_out=False)
    rates = [learning_rate_at(plan, step) for step in range(1, plan.total_steps + 1)]
    assert all(0 < rate <= plan.learning_rate * 1.0001 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


@given(lengths=st.lists(st.integers(1, 50), max_size=60), width=st.integers(50, 120))
def test_packing_loses_nothing_and_overfills_nothing(lengths: list[int], width: int) -> None:
    rows = packed(lengths, width)
    assert sorted(at for row in rows for at in row) == list(range(len(lengths)))
    assert all(sum(lengths[at] for at in row) <= width for row in rows)
    # Best fit: two rows that are at most half full would have been one.
    assert sum(2 * sum(lengths[at] for at in row) <= width for row in rows) <= 1
