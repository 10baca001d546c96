"""Published figures: near enough to be of use, and dear enough to hide a person."""

import itertools
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from headrace.datasets.aggregate import Asked, Noise, publish, sums_of
from headrace.datasets.errors import DatasetInvalid
from headrace.datasets.example import Example, Provenance
from headrace.datasets.guarantee import Told, measured
from headrace.datasets.store import DatasetStore
from headrace.privacy.budget import Budget, Ledger
from headrace.privacy.errors import BudgetSpent, PrivacyUnavailable
from headrace.types import Message

BUDGET = Budget(epsilon=2.0, delta=1e-6)


def rows(count: int, *, people: int, **metadata: object) -> list[Example]:
    return [
        Example(
            kind="completion",
            messages=[
                Message(role="user", content="ask " * 10),
                Message(role="assistant", content=f"answer {at}"),
            ],
            metadata=metadata,
            provenance=Provenance(subject=f"s_{at % people}"),
        )
        for at in range(count)
    ]


def unknown(text: str) -> None:
    del text


def test_a_person_changes_no_sum_by_more_than_its_noise_is_for() -> None:
    asked = Asked(epsilon=1, delta=1e-7, by=["plan"], rows_each=3, longest=20)
    most = rows(40, people=2, plan="pro")
    for made in (most, rows(9, people=9)):
        more = sums_of([*made, *rows(50, people=1, plan="team")], asked, unknown)
        # The one more is s_0, who has rows in both.
        less = sums_of([e for e in made if e.provenance.subject != "s_0"], asked, unknown)
        assert 0 <= more.people - less.people <= 1
        assert 0 <= more.rows - less.rows <= 3
        assert abs(more.asked - less.asked) <= 3 * 20
        assert abs(more.learned - less.learned) <= 3 * 20
        names = {*more.by["plan"], *less.by["plan"]}
        assert sum(abs(more.by["plan"][n] - less.by["plan"][n]) for n in names) <= 3


def test_the_price_is_what_was_asked_for() -> None:
    noise = Noise(Asked(epsilon=0.5, delta=1e-7, by=["plan", "city"]))
    assert 0.499 <= noise.epsilon <= 0.5 * (1 + 1e-9)
    assert 0 < noise.delta <= 1e-7


def test_noise_is_as_wide_as_the_price_says() -> None:
    asked = Asked(epsilon=4.0, rows_each=1, longest=1)  # ε = 1 for the people alone
    noise = Noise(asked)
    sums = sums_of(rows(100, people=100), asked, unknown)
    seen = [noise.publish(sums, asked, "x", "y").people.value for _ in range(60)]
    # The mean distance of Laplace noise is its scale, 1/ε = 1; five standard errors around it.
    assert 0.35 < sum(abs(each - 100) for each in seen) / len(seen) < 1.65


def test_figures_are_near_and_rare_names_are_left_out(store: DatasetStore) -> None:
    made = [
        *rows(3000, people=1500, plan="pro"),
        *rows(3010, people=3010, plan="Ann Miller of 3 Mill Lane")[3000:],
    ]
    version = store.add("own", made[:1], what="test").version
    asked = Asked(epsilon=2.0, delta=1e-7, by=["plan"], rows_each=2, longest=100)
    found = publish(version, made, store.ledger(version), asked, BUDGET, unknown)
    # Each holds with 95 in a hundred; five times as far off with 1 in 3 million.
    assert math.isclose(found.people.value, 1510, abs_tol=5 * found.people.off_by)
    assert math.isclose(found.rows.value, 3010, abs_tol=5 * found.rows.off_by)
    assert math.isclose(found.mean_asked.value, 40, abs_tol=5 * found.mean_asked.off_by)
    assert found.mean_asked.off_by < 2
    assert list(found.by["plan"]) == ["pro"]
    assert found.made_by.startswith("opendp ")
    spent = store.ledger(version).spent()
    assert spent is not None
    assert (spent.epsilon, spent.delta) == (found.epsilon, found.delta)


def test_all_versions_share_one_budget_and_a_spent_one_publishes_nothing(
    store: DatasetStore,
) -> None:
    asked = Asked(epsilon=0.9)
    versions = [
        store.add("own", made, what="test").version
        for made in itertools.accumulate(_parts(), lambda before, part: [*before, *part])
    ]
    for version in versions[:2]:
        publish(version, store.rows(version), store.ledger(version), asked, BUDGET, unknown)
    last = versions[2]
    with pytest.raises(BudgetSpent, match=r"ε = 0\.2 and δ = 1e-06 are left"):
        publish(last, store.rows(last), store.ledger(last), asked, BUDGET, unknown)
    spent = store.ledger(last).spent()
    assert spent is not None
    assert spent.publications == 2


def _parts() -> Sequence[list[Example]]:
    made = rows(30, people=30)
    return [made[:10], made[10:20], made[20:]]


def test_it_is_paid_before_a_figure_exists(
    store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = rows(10, people=10)
    version = store.add("own", made, what="test").version

    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Ledger, "charge", full)
    monkeypatch.setattr(Noise, "publish", lambda *_: pytest.fail("published without paying"))
    with pytest.raises(OSError, match="the disk is full"):
        publish(version, made, store.ledger(version), Asked(epsilon=0.1), BUDGET, unknown)


def test_without_the_extra_nothing_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("opendp", "opendp.prelude", "pycanon"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PrivacyUnavailable, match="guarantees need the package") as refused:
        Noise(Asked(epsilon=1))
    assert refused.value.hint == "pip install 'headrace[privacy]'"
    with pytest.raises(PrivacyUnavailable, match="pycanon"):
        measured([Told(person="a", quasi=(1,))])


@pytest.mark.parametrize("asked", [Asked(epsilon=1, by=["plan"]), Asked(epsilon=1, delta=1e-7)])
def test_delta_goes_with_histograms(asked: Asked, tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="δ"):
        Noise(asked)
