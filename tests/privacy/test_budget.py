"""The budget: what was spent stays spent, whatever happens, and it is never more than there is."""

import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.privacy.budget import Budget, Ledger, Spent
from headrace.privacy.errors import BudgetSpent

BUDGET = Budget(epsilon=1.0, delta=1e-6)
CHARGES = st.tuples(st.floats(1e-3, 0.7), st.sampled_from([0.0, 1e-7, 4e-7]))


def charge(ledger: Ledger, epsilon: float, delta: float) -> bool:
    try:
        ledger.charge(epsilon, delta, "own@1: rows", BUDGET)
    except BudgetSpent:
        return False
    return True


@settings(max_examples=40, deadline=None)
@given(charges=st.lists(CHARGES, max_size=12), torn=st.integers(1, 60), at=st.integers(0, 11))
def test_what_is_taken_stays_taken_and_never_passes_the_budget(
    charges: list[tuple[float, float]], torn: int, at: int
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "budgets", "own.jsonl")
        taken: list[tuple[float, float]] = []
        for number, each in enumerate(charges):
            if number == at and path.exists():
                # A process died while it wrote a line: it had not begun to publish.
                with path.open("ab") as file:
                    file.write(
                        b'{"type":"charge","epsilon":0.9,"delta":1e-6,"what":"x","at":1.0}'[:torn]
                    )
            fits = sum(e for e, _ in taken) + each[0] <= 1.0 and (
                sum(d for _, d in taken) + each[1] <= 1e-6 * (1 + 1e-9)
            )
            assert charge(Ledger(path), *each) == fits
            if fits:
                taken.append(each)
            spent = Ledger(path).spent()
            found = (0.0, 0.0, 0) if spent is None else _figures(spent)
            assert found == pytest.approx(
                (sum(e for e, _ in taken), sum(d for _, d in taken), len(taken))
            )


def _figures(spent: Spent) -> tuple[float, float, int]:
    return spent.epsilon, spent.delta, spent.publications


def test_ten_tenths_are_the_budget_and_no_more(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "own.jsonl")
    assert all(charge(ledger, 0.1, 1e-7) for _ in range(10))
    assert not charge(ledger, 1e-6, 0.0)


def test_two_at_once_do_not_spend_the_same_rest(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    start = threading.Barrier(8)
    taken: list[bool] = []

    def spend() -> None:
        start.wait()
        taken.append(charge(Ledger(path), 0.3, 0.0))

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(taken) == 3


def test_a_ledger_that_was_changed_has_nothing_left(tmp_path: Path) -> None:
    ledger = Ledger(path := tmp_path / "own.jsonl")
    ledger.charge(0.9, 0.0, "own@1: rows", BUDGET)
    path.write_bytes(path.read_bytes().replace(b'"epsilon":0.9', b'"epsilon":"none"'))
    with pytest.raises(BudgetSpent, match="nothing is known to be left"):
        ledger.charge(0.1, 0.0, "own@1: rows", BUDGET)


def test_the_budget_cannot_be_changed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "own.jsonl")
    ledger.charge(1.0, 0.0, "own@1: rows", BUDGET)
    with pytest.raises(BudgetSpent, match="the budget is ε = 1 and δ = 1e-06 since"):
        ledger.charge(0.1, 0.0, "own@1: rows", Budget(epsilon=9.0, delta=1e-6))
    with pytest.raises(BudgetSpent, match="ε = 0 and δ = 1e-06 are left"):
        ledger.charge(0.1, 0.0, "own@1: rows", BUDGET)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="ε is"):
            ledger.charge(wrong, 0.0, "own@1: rows", BUDGET)


def test_what_has_a_key_counts_once_and_can_be_settled_for_less(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    ledger = Ledger(path)
    for _ in range(2):  # a start, and one that goes on
        ledger.charge(0.6, 1e-7, "own@1: fine-tune", BUDGET, key="one")
    assert _figures(_spent(path)) == (0.6, 1e-7, 1)
    with pytest.raises(BudgetSpent, match=r"ε = 0\.4 and"):
        ledger.check(0.6, 0.0, BUDGET)
    ledger.settle("one", 0.9, 1e-7)
    assert _figures(_spent(path)) == (0.6, 1e-7, 1)
    ledger.settle("one", 0.2, 1e-7)
    ledger.charge(0.7, 0.0, "own@1: rows", BUDGET)
    # It goes on, and what it gave back is spent.
    with pytest.raises(BudgetSpent):
        ledger.charge(0.6, 1e-7, "own@1: fine-tune", BUDGET, key="one")
    assert _figures(_spent(path)) == pytest.approx((0.9, 1e-7, 2))
    ledger.settle("one", 0.0, 0.0)
    assert _figures(_spent(path)) == (0.7, 0.0, 1)


def test_looking_whether_it_fits_sets_no_budget(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "own.jsonl")
    with pytest.raises(BudgetSpent) as refused:
        ledger.check(8.0, 1e-5, ledger.budget(None, None))
    assert "the budget is set once" in refused.value.hint
    ledger.check(8.0, 1e-5, ledger.budget(9.0, 1e-5))
    assert ledger.spent() is None


def _spent(path: Path) -> Spent:
    spent = Ledger(path).spent()
    assert spent is not None
    return spent
