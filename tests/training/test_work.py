"""What happens between a job's folder and its result, with a model of random weights."""

import json
import resource
import threading
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from headrace.models.adapter import AdapterStore
from headrace.training.folder import CANCEL, RESULT, read_events
from headrace.training.job import JobState
from headrace.training.trainer import Trainer
from tests.training.conftest import FACTS, MakeJob, Work, write_rows

# transformers and PEFT warn of one another.
pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("default")]

RATE = 0.02
"""Random weights learn from nothing less."""


@pytest.fixture
def base(tiny: Path) -> str:
    return f"file:{tiny}"


def losses(trainer: Trainer, job_id: str, field: str = "train_loss") -> list[float]:
    events = read_events(trainer.folder(job_id))
    values = [each.data.get(field) for each in events if each.type == "metrics"]
    return [value for value in values if isinstance(value, float)]


def weights(trainer: Trainer, job_id: str) -> bytes:
    return (trainer.folder(job_id) / RESULT / "adapter" / "adapter_model.safetensors").read_bytes()


def no_result_is_left(trainer: Trainer, state: JobState, job_id: str) -> bool:
    folder = trainer.folder(job_id)
    halves = [*folder.glob(".*.part"), *folder.glob("checkpoints/.*"), folder / RESULT]
    return state.result is None and not any(each.exists() for each in halves)


def test_an_adapter_with_its_card_is_made_and_kept(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str, tmp_path: Path
) -> None:
    job = make_job(
        base=base, max_steps=12, learning_rate=RATE, suffix="facts", validation_share=0.3
    )
    state = do(job)
    assert state.status == "succeeded"
    assert state.result is not None
    assert state.step == state.total_steps == 12
    trained = losses(trainer, job.id)
    assert len(trained) == 12
    assert trained[-1] < trained[0]
    kept = AdapterStore(tmp_path / "home").get(state.result.digest)
    assert (kept.name, kept.job) == (state.result.name, job.id)
    # It never goes on: its checkpoints are weights.
    assert not [*trainer.folder(job.id).rglob("optimizer.pt")]
    assert state.checkpoints[-1].step == 12
    assert kept.name.startswith("ft:")
    assert ":facts:" in kept.name
    assert kept.gguf is not None
    card = (Path(kept.path) / "card.md").read_text("utf-8")
    assert state.result.base_sha256 in card
    assert "facts.jsonl" in card
    assert "No guarantee is known of the people in it" in card
    assert "No suite was asked of it yet." in card
    written = json.loads((Path(kept.path) / "card.json").read_bytes())
    assert written["plan"]["total_steps"] == 12
    assert written["settings"]["seed"] == 42
    assert state.result.valid_loss == pytest.approx(losses(trainer, job.id, "valid_loss")[-1])


def test_no_kind_of_event_crowds_out_another(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.training.process import loop

    monkeypatch.setattr(loop, "MOST_EVENTS", 16)
    every = {"checkpoint_every": 1, "evaluate_every": 1}
    job = make_job(base=base, max_steps=40, validation_share=0.3, keep_checkpoints=2, **every)
    assert do(job).status == "succeeded"
    told = read_events(trainer.folder(job.id))
    steps = [each.data["step"] for each in told if "train_loss" in each.data]
    counts = Counter(each.type for each in told)
    assert counts["checkpoint"] <= 16 // 4 + 1
    assert counts["metrics"] <= 16 // 2 + 16 // 4 + 2
    assert (steps[0], steps[-1]) == (1, 40)


def test_the_estimate_is_given_before_the_first_step(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str
) -> None:
    job = make_job(base=base, max_steps=1)
    do(job)
    types = [each.type for each in read_events(trainer.folder(job.id))]
    assert types.index("estimate") < types.index("metrics")
    estimate = next(e for e in read_events(trainer.folder(job.id)) if e.type == "estimate")
    assert float(str(estimate.data["memory_bytes"])) > 1e6
    assert float(str(estimate.data["seconds"])) > 0


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str
) -> None:
    settings = {"base": base, "max_steps": 45, "checkpoint_every": 5, "lora_dropout": 0.1}
    whole = make_job(**settings)
    do(whole)
    killed = make_job(**settings)
    trainer.start(killed.id)
    wait_for(trainer, killed.id, step=12)
    trainer.kill(killed.id)
    state = trainer.wait(killed.id, timeout_s=60)
    assert state.status == "stopped"
    assert 12 <= state.step < 45
    ended = do(killed)
    assert ended.status == "succeeded"
    assert weights(trainer, killed.id) == weights(trainer, whole.id)
    was = trainer.state(whole.id)
    assert ended.result is not None
    assert was.result is not None
    assert ended.result.digest == was.result.digest
    assert ended.result.trained_tokens == was.result.trained_tokens


def wait_for(trainer: Trainer, job_id: str, *, step: int) -> None:
    """Until the process has come so far."""
    pause = threading.Event()
    while (state := trainer.state(job_id)).step < step:
        assert state.status == "running", state.error
        pause.wait(0.02)


def test_nobody_trains_twice_in_one_folder(
    make_job: MakeJob, trainer: Trainer, base: str, root: Path
) -> None:
    from headrace.training.errors import TrainingBusy

    job = make_job(base=base, max_steps=100_000)
    trainer.start(job.id)
    assert trainer.state(job.id).status == "running"
    with pytest.raises(TrainingBusy, match="already"):
        Trainer(Path(job.home), root=root).start(job.id)
    trainer.cancel(job.id)
    assert trainer.wait(job.id, timeout_s=120).status == "cancelled"


def test_a_paused_run_keeps_its_last_step(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str
) -> None:
    from headrace.training.worker import _Stop

    job = make_job(base=base, max_steps=8, checkpoint_every=100)
    stop = _Stop()
    stop.asked = True
    asked_at_once = do(job, stop=stop)
    assert asked_at_once.status == "stopped"
    assert do(job).status == "succeeded"


def test_a_cancelled_job_is_not_started_again(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str
) -> None:
    job = make_job(base=base, max_steps=8)
    (trainer.folder(job.id) / CANCEL).touch()
    assert do(job).status == "cancelled"
    assert not losses(trainer, job.id)


def test_smaller_parts_of_a_batch_give_the_same_losses(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str
) -> None:
    settings = {"base": base, "max_steps": 5, "batch_size": 4, "learning_rate": RATE}
    at_once, in_parts = make_job(**settings), make_job(**settings, micro_batch_size=1)
    do(at_once)
    do(in_parts)
    assert losses(trainer, in_parts.id) == pytest.approx(losses(trainer, at_once.id), rel=1e-3)


def test_packed_examples_do_not_see_one_another(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str
) -> None:
    settings = {"base": base, "max_steps": 1, "max_tokens": 512}
    apart = make_job(**settings, batch_size=len(FACTS))
    packed = make_job(**settings, batch_size=100, packing=True)
    do(apart)
    do(packed)
    assert losses(trainer, packed.id) == pytest.approx(losses(trainer, apart.id), rel=1e-4)


def test_gradient_checkpointing_changes_no_loss(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str
) -> None:
    settings = {"base": base, "max_steps": 3, "learning_rate": RATE}
    plain, thrifty = make_job(**settings), make_job(**settings, gradient_checkpointing=True)
    do(plain)
    do(thrifty)
    assert losses(trainer, thrifty.id) == pytest.approx(losses(trainer, plain.id), rel=1e-4)


def test_it_stops_early_and_takes_the_best(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str, root: Path
) -> None:
    write_rows(root / "other.jsonl", [("Name a bird.", "xyzzy plugh 12345"), ("More?", "qwerty")])
    job = make_job(
        base=base,
        validation="other.jsonl",
        max_steps=400,
        learning_rate=0.05,
        evaluate_every=2,
        early_stopping_patience=3,
    )
    state = do(job)
    assert state.result is not None
    held_out = losses(trainer, job.id, "valid_loss")
    assert state.step < 400
    assert state.result.valid_loss == min(held_out)
    assert held_out[-1] > min(held_out)


def test_full_tuning_leaves_a_model(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str
) -> None:
    job = make_job(base=base, tuning="full", max_steps=6, learning_rate=RATE)
    state = do(job)
    assert state.result is not None
    assert state.result.adapter is None
    assert state.result.model is not None
    folder = trainer.folder(job.id) / RESULT / state.result.model
    from transformers import AutoModelForCausalLM

    assert AutoModelForCausalLM.from_pretrained(folder).config.hidden_size == 64
    trained = losses(trainer, job.id)
    assert trained[-1] < trained[0]


def test_dpo_learns_to_prefer(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str, root: Path
) -> None:
    rows = [
        {"prompt": f"Say {word}.", "chosen": f"{word}!", "rejected": f"I will not say {word}."}
        for word in ("yes", "no", "maybe", "好")
    ]
    (root / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    job = make_job(
        base=base, training="pairs.jsonl", method="dpo", max_steps=30, learning_rate=RATE
    )
    state = do(job)
    assert state.status == "succeeded"
    trained = losses(trainer, job.id)
    assert trained[0] == pytest.approx(0.6931, abs=1e-3)  # -log σ(0): it is the base still
    assert trained[-1] < 0.5
    assert losses(trainer, job.id, "train_mean_token_accuracy")[-1] == 1.0


def test_the_dpo_loss_is_the_papers(tiny: Path) -> None:
    """Computed by hand from the probabilities of every token, head and all."""
    import torch
    from transformers import AutoModelForCausalLM

    from headrace.training.process.loss import pair_loss
    from headrace.training.render import Pair, Tokens

    model = AutoModelForCausalLM.from_pretrained(tiny)
    sides = (Tokens("", [5, 6, 7, 8, 2], [(3, 5)]), Tokens("", [5, 6, 7, 9, 9, 2], [(3, 6)]))
    reference = torch.tensor([-0.25])
    with torch.no_grad():
        ours = pair_loss(model, [Pair("", *sides)], reference, 0.1, torch.device("cpu"), 0)
        sums = []
        for side in sides:
            ids = torch.tensor([side.ids])
            logits = model(ids).logits[:, :-1].log_softmax(-1)  # (1, tokens - 1, vocabulary)
            each = logits.gather(-1, ids[:, 1:, None]).squeeze(-1)
            sums.append(each[:, side.spans[0][0] - 1 :].sum())
        wanted = -torch.nn.functional.logsigmoid(0.1 * (sums[0] - sums[1] + 0.25))
    assert float(ours.loss) == pytest.approx(float(wanted), rel=1e-5)


def test_a_loss_that_is_no_number_is_said_and_nothing_is_left(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str
) -> None:
    job = make_job(
        base=base,
        tuning="full",
        max_steps=60,
        learning_rate=1.0,
        weight_decay=1e9,  # each update makes every weight a billion times larger
        checkpoint_every=1000,
    )
    state = do(job)
    assert state.status == "failed"
    assert state.error is not None
    assert "no number" in state.error.message
    assert "learning_rate" in state.error.hint
    assert no_result_is_left(trainer, state, job.id)


def test_memory_that_runs_out_is_said_with_advice(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real allocator fails: the process may not have more than it has."""
    import torch

    from headrace.training import worker
    from headrace.training.process import loop

    def hungry(*args: object) -> object:
        held = worker._held_bytes()
        assert held is not None
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (held + 100_000_000, hard))
        try:
            return torch.zeros(200_000_000)
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))

    monkeypatch.setattr(loop, "rows_of", hungry)
    job = make_job(base=base, max_steps=3)
    state = do(job)
    assert state.status == "failed"
    assert state.error is not None
    assert "memory ran out" in state.error.message
    assert "micro_batch_size" in state.error.hint
    assert no_result_is_left(trainer, state, job.id)


def test_what_cannot_fit_is_refused_with_settings_that_would(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str
) -> None:
    job = make_job(base=base, batch_size=6, max_steps=3)
    state = do(job, memory_limit=772_000_000)
    assert state.error is not None
    assert state.error.code == "training_does_not_fit"
    assert "micro_batch_size" in state.error.hint
    assert not losses(trainer, job.id)


def test_a_full_disk_leaves_no_half_checkpoint(
    make_job: MakeJob, do: Work, trainer: Trainer, base: str
) -> None:
    """The kernel refuses to let a file grow, as a full disk does."""
    job = make_job(base=base, max_steps=3, checkpoint_every=1, lora_rank=64)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        state = do(job)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert state.status == "failed"
    assert state.error is not None
    assert "disk is full" in state.error.message, msgspec.json.encode(state.error)
    assert state.checkpoints == []
    assert no_result_is_left(trainer, state, job.id)
    assert do(job).status == "succeeded"


def test_quantized_training_is_refused_where_it_cannot_be(
    make_job: MakeJob, do: Work, base: str
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    state = do(make_job(base=base, tuning="qlora"))
    assert state.error is not None
    assert state.error.code == "training_unavailable"
    assert "lora" in state.error.hint
