"""Figures of several workers on one page."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.parser import text_string_to_metric_families

from headrace.server.workers.scrape import Figures, page_of


class Worker:
    """What a worker has to tell."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.turns = Counter("headrace_turns", "Turns.", ("model",), registry=self.registry)
        self.active = Gauge("headrace_turns_active", "Now.", registry=self.registry)
        self.up = Gauge("headrace_deployment_up", "Up.", ("model",), registry=self.registry)
        self.took = Histogram("took_seconds", "Time.", buckets=(0.1, 1), registry=self.registry)
        Info("headrace_build", "Version.", registry=self.registry).info({"version": "1"})

    def answer(self, model: str, seconds: float) -> None:
        self.turns.labels(model).inc()
        self.up.labels(model).set(1)
        self.took.observe(seconds)
        self.active.inc()


def values(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


ANSWERS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(["a", '水"车\n']), st.sampled_from([0.05, 0.5, 9])
    ),
    max_size=30,
)


@given(answers=ANSWERS)
def test_sums_are_those_of_one_worker_that_did_it_all(
    answers: Sequence[tuple[int, str, float]],
) -> None:
    workers, alone = [Worker() for _ in range(3)], Worker()
    for slot, model, seconds in answers:
        workers[slot].answer(model, seconds)
        alone.answer(model, seconds)
    nowhere = Path("/nonexistent/figures")
    told = {}
    for slot, worker in enumerate(workers):
        told[slot] = Figures(worker.registry, nowhere).figures()
    found = values(page_of(told, {}))
    expected = values(page_of({0: Figures(alone.registry, nowhere).figures()}, {}))
    for key, value in expected.items():
        if key[0] != "headrace_deployment_up":
            assert found[key] == pytest.approx(value), key
    ups = {key for key in found if key[0] == "headrace_deployment_up"}
    assert len(ups) == len({(slot, model) for slot, model, _ in answers})
    assert found[("headrace_build_info", (("version", "1"),))] == 1


def test_who_follows_counts_on_and_who_is_away_still_counts(tmp_path: Path) -> None:
    kept = tmp_path / "0.figures"
    first, other = Worker(), Worker()
    first.answer("a", 0.5)
    other.answer("a", 0.5)
    seen = Figures(first.registry, kept).tell()
    rest = Figures(other.registry, tmp_path / "1.figures").tell()
    key = ("headrace_turns_total", (("model", "a"),))
    active = ("headrace_turns_active", ())
    assert values(page_of({0: seen, 1: rest}, {}))[key] == 2
    away = values(page_of({1: rest}, {0: Figures.read(kept)}))
    assert (away[key], away[active]) == (2, 1), "nothing is under way in one that is dead"
    second = Worker()
    figures = Figures(second.registry, kept)
    second.answer("a", 0.5)
    again = values(page_of({0: figures.tell(), 1: rest}, {}))
    assert (again[key], again[active]) == (3, 2)
    third = values(page_of({0: Figures(Worker().registry, kept).tell()}, {}))
    assert third[key] == 2
