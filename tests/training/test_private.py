"""Private training: what one person can do to a step is bounded, and what is promised is measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from headrace.datasets.example import Example, Provenance
from headrace.datasets.store import DatasetStore
from headrace.models.adapter import AdapterStore
from headrace.privacy.budget import Ledger, Spent
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.training.folder import RESULT, read_events
from headrace.training.plan import Plan, plan_of
from headrace.training.trainer import Trainer
from headrace.types import Message
from tests.training.conftest import FACTS, MakeJob, Work

if TYPE_CHECKING:
    from torch import Tensor

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("default")]

PRIVACY = {"epsilon": 8.0, "delta": 1e-3, "budget": 20.0, "budget_delta": 0.005}
KEY = bytes(range(32))


@pytest.fixture
def people(tmp_path: Path) -> str:
    """A dataset of four people, one of whom has three rows."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    database = Database.open(home / "state.db")
    rows = [
        Example(
            kind="completion",
            messages=[Message(role="user", content=q), Message(role="assistant", content=a)],
            provenance=Provenance(subject=f"s_{max(0, at - 2)}"),
        )
        for at, (q, a) in enumerate(FACTS)
    ]
    DatasetStore(database, Vault.open(database, home), home).add("own", rows, what="test")
    database.close()
    return "dataset:own"


def test_an_adapter_says_what_was_reached_and_no_exact_loss(
    make_job: MakeJob, do: Work, trainer: Trainer, tiny: Path, people: str, tmp_path: Path
) -> None:
    settings = {"base": f"file:{tiny}", "training": people, "privacy": PRIVACY, "max_steps": 4}
    job = make_job(**settings)
    state = do(job)
    assert state.error is None
    result = state.result
    assert result is not None
    assert result.privacy is not None
    found = result.privacy
    assert 7.9 < found.epsilon <= 8
    assert (found.delta, found.steps, found.people) == (1e-3, 4, 4)
    assert found.measured_by.startswith("opacus ")
    card = Path(AdapterStore(tmp_path / "home").get(result.digest).path, "card.md").read_text()
    assert f"ε = {found.epsilon:.4g}, δ = 0.001 for each of 4 people" in card
    assert "| Training loss | not measured |" in card
    paid = _spent(tmp_path)
    assert paid.epsilon == found.epsilon
    assert f"once, in figures or adapters: ε = {paid.epsilon:.6g} of 20 and δ = 0.001" in card
    events = read_events(trainer.folder(job.id))
    metrics = [each for each in events if each.type == "metrics"]
    assert len(metrics) == 4
    assert not [each for each in metrics if each.data.get("train_loss") is not None]
    assert not (trainer.folder(job.id) / "noise.key").exists()
    # The noise is no function of the seed that the card says.
    again = do(make_job(**settings)).result
    assert again is not None
    assert again.digest != result.digest
    assert _spent(tmp_path).publications == 2
    # What is left is less than a third one asks for.
    third = make_job(**settings)
    refused = do(third)
    assert refused.error is not None
    assert refused.error.code == "privacy_budget_spent"
    assert not [each for each in read_events(trainer.folder(third.id)) if each.type == "metrics"]
    assert _spent(tmp_path).publications == 2


def _spent(tmp_path: Path) -> Spent:
    spent = Ledger(tmp_path / "home" / "datasets" / "budgets" / "own.jsonl").spent()
    assert spent is not None
    return spent


def test_a_paused_run_draws_the_noise_that_it_would_have_drawn(
    make_job: MakeJob, do: Work, trainer: Trainer, tiny: Path, people: str, tmp_path: Path
) -> None:
    settings = {
        "base": f"file:{tiny}", "training": people, "privacy": PRIVACY, "max_steps": 4,
        "checkpoint_every": 1, "lora_dropout": 0.1,
    }  # fmt: skip
    whole, paused = make_job(**settings), make_job(**settings)
    for job in (whole, paused):
        (trainer.folder(job.id) / "noise.key").write_bytes(KEY)
    do(whole)
    once = _spent(tmp_path)
    asked = iter([False, False, False, False, True])
    first = do(paused, stop=lambda: next(asked, True))
    assert first.status == "stopped"
    assert 0 < first.step < 4
    # It is paid in full since its first step, and going on costs nothing.
    assert _spent(tmp_path).epsilon == pytest.approx(2 * once.epsilon)
    assert do(paused).status == "succeeded"
    assert _spent(tmp_path).epsilon == pytest.approx(2 * once.epsilon)
    assert _spent(tmp_path).publications == 2
    assert _weights(trainer, paused.id) == _weights(trainer, whole.id)


def test_a_cancelled_run_pays_for_the_steps_that_it_took(
    make_job: MakeJob, do: Work, trainer: Trainer, tiny: Path, people: str, tmp_path: Path
) -> None:
    settings = {"base": f"file:{tiny}", "training": people, "privacy": PRIVACY, "max_steps": 4}
    job = make_job(**settings)
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += 1
        if looks == 4:
            assert _spent(tmp_path).epsilon > 7.9
            trainer.cancel(job.id)
        return False

    assert do(job, stop=stop).status == "cancelled"
    assert 0 < _spent(tmp_path).epsilon < 7


def _weights(trainer: Trainer, job_id: str) -> bytes:
    return (trainer.folder(job_id) / RESULT / "adapter" / "adapter_model.safetensors").read_bytes()


@pytest.mark.parametrize("scale", [0.1, 1e4])
def test_one_person_adds_no_more_than_the_bound(scale: float) -> None:
    """Without noise, a step with a person and without them differ by the bound at most."""
    import torch

    from headrace.training.private import Privacy
    from headrace.training.process.loss import Sum
    from headrace.training.process.noise import PrivateGradients

    torch.manual_seed(0)
    model = torch.nn.Linear(5, 1, bias=False)
    rows = torch.randn(6, 5) * scale

    def loss(chosen: Sequence[int]) -> Sum:
        value = model(rows[list(chosen)]).pow(2).sum()
        return Sum(loss=value, right=0, count=len(chosen), tokens=len(chosen))

    def gradient(people: list[list[int]]) -> "Tensor":
        plan = _plan(len(people))
        made = PrivateGradients(Privacy(epsilon=8, max_grad_norm=0.7), people, plan, 0.0, KEY)
        assert made.sample_rate == 1
        made.take(model, 1, len, loss)
        assert model.weight.grad is not None
        return model.weight.grad.flatten() * plan.batch_size

    everybody = [[0, 1, 2], [3], [4, 5]]
    whole = gradient(everybody)
    for at in range(3):
        without = gradient(everybody[:at] + everybody[at + 1 :])
        assert float((whole - without).norm()) <= 0.7 * (1 + 1e-5)


def _plan(people: int) -> Plan:
    from headrace.training.job import FineTune, Hyperparameters

    spec = FineTune(base="", training="", parameters=Hyperparameters(batch_size=people))
    return plan_of(spec, people, has_held_out=False)


def test_the_noise_is_as_wide_as_it_should_be_and_another_each_step() -> None:
    import torch

    from headrace.training.private import Privacy
    from headrace.training.process.loss import Sum
    from headrace.training.process.noise import PrivateGradients

    model = torch.nn.Linear(200, 100, bias=False)
    people = [[at] for at in range(1000)]
    plan = msgspec.structs.replace(_plan(1000), batch_size=20)
    made = PrivateGradients(Privacy(epsilon=8, max_grad_norm=0.5), people, plan, 2.0, KEY)
    drawn: list[list[int]] = []

    def loss(rows: Sequence[int]) -> Sum:
        drawn[-1] += rows
        return Sum(loss=(model.weight * 0).sum(), right=0, count=1, tokens=1)

    seen = []
    for step in (1, 2):
        drawn.append([])
        made.take(model, step, len, loss)
        assert model.weight.grad is not None
        seen.append(model.weight.grad.clone().flatten() * 20)
    for noise in seen:
        # 20,000 numbers of N(0, 1): mean and deviation within five standard errors.
        assert abs(float(noise.mean())) < 5 / 20_000**0.5
        assert abs(float(noise.std()) - 1) < 5 / 40_000**0.5
    assert abs(float((seen[0] * seen[1]).mean())) < 5 / 20_000**0.5
    # Binomial of 1,000 people and a fiftieth each: mean 20, deviation 4.4.
    assert drawn[0] != drawn[1]
    assert all(1 <= len(each) <= 45 for each in drawn)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"validation_share": 0.2}, "the loss on held-out examples is exact"),
        ({"tuning": "full"}, "privacy goes with lora or qlora"),
        ({"packing": True}, "without packing"),
        ({"privacy": {"epsilon": 1e-6}}, "cannot be reached"),
    ],
)
def test_what_would_break_the_promise_is_refused(
    make_job: MakeJob, do: Work, tiny: Path, settings: dict[str, object], words: str
) -> None:
    job = make_job(**{"base": f"file:{tiny}", "privacy": PRIVACY, "max_steps": 2, **settings})
    state = do(job)
    assert state.error is not None
    assert state.error.code == "training_invalid"
    assert words in state.error.message
