"""The model card: what an adapter is made of, for people (Markdown) and for programs (JSON).

The head follows the metadata of model cards on model hubs. No text of any example is in it.
It is written with the adapter, and again whenever a release or folder that has it is asked a suite:
the adapter's digest is over its weights, so its card may learn what came of it.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Self

import msgspec

from headrace import __version__
from headrace.datasets.guarantee import Guarantee, sentences
from headrace.training.data import Data
from headrace.training.folder import write_whole
from headrace.training.job import FineTune, Result
from headrace.training.plan import Plan
from headrace.training.private import Reached

__all__ = ["Card", "DataUsed", "Evaluated", "card_of", "note_evaluation", "versions", "write_card"]

CARD, CARD_TEXT = "card.json", "card.md"
MOST_EVALUATIONS = 50
"""In a card; older ones are in the releases' own statements."""
_PACKAGES = ("torch", "transformers", "peft", "gguf")


class DataUsed(msgspec.Struct, frozen=True, kw_only=True):
    """Examples of one kind of use."""

    reference: str
    digest: str
    """SHA-256 of the dataset version or the file."""
    examples: int
    left_out: int = 0
    """Rows that could not be used, or were too long."""
    guarantee: Guarantee | None = None
    """What is promised of the people in a dataset; None for files."""

    @classmethod
    def of(cls, data: Data, left_out: int) -> Self:
        return cls(
            reference=data.reference,
            digest=data.digest,
            examples=len(data.rows),
            left_out=left_out,
            guarantee=data.guarantee,
        )


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one suite, asked of a release that has the adapter."""

    suite: str
    suite_digest: str
    release: str
    """Its digest."""
    passed: bool
    """Whether the suite's gate was."""
    scores: dict[str, float]
    """The mean of each scorer."""
    cases: int
    run: str
    at: float


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """`card.json`."""

    job: str
    created_at: float
    result: Result
    settings: FineTune
    plan: Plan
    training_data: DataUsed
    held_out_data: DataUsed | None
    template: str
    """Prompt template and its digest; empty for none."""
    versions: dict[str, str]
    machine: str
    evaluations: dict[str, Evaluated] = {}
    """The newest of each suite and release; none when the card is first written."""


def versions() -> dict[str, str]:
    """Of the code that trained."""
    found = {"headrace": __version__}
    for name in _PACKAGES:
        found[name] = metadata.version(name)
    return found


def write_card(card: Card, folder: Path) -> None:
    """Put a card into an adapter's folder, for programs and for people."""
    write_whole(folder / CARD, card)
    part = folder / f".{CARD_TEXT}.part"
    part.write_text(card_of(card), encoding="utf-8")
    part.chmod(0o600)
    part.replace(folder / CARD_TEXT)


def note_evaluation(folders: Iterable[Path], evaluated: Evaluated) -> None:
    """Write into the cards of these adapters what came of a suite.

    Args:
        folders: of adapters; one that came from elsewhere, and has no card, stays without.
    """
    for folder in folders:
        if not (folder / CARD).exists():
            continue
        with _locked(folder):
            card = msgspec.json.decode((folder / CARD).read_bytes(), type=Card)
            # A release may fail for its prompt, where another with the same adapter does not.
            found = {**card.evaluations, f"{evaluated.suite} of {evaluated.release}": evaluated}
            newest = sorted(found, key=lambda name: found[name].at)[-MOST_EVALUATIONS:]
            kept = {name: found[name] for name in newest}
            write_card(msgspec.structs.replace(card, evaluations=kept), folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two suites that end at once are both noted."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def card_of(card: Card) -> str:
    """The card as Markdown."""
    result, spec, plan = card.result, card.settings, card.plan
    made = _moment(card.created_at)
    energy = "not measured: this machine has no counter that can be read"
    if result.energy_wh is not None:
        energy = f"{result.energy_wh:.2f} Wh of the processor's package, other programs included"
    held_out = "none"
    if card.held_out_data is not None:
        held_out = _data(card.held_out_data)
    rank = f"rank {spec.parameters.lora_rank}, alpha {spec.parameters.lora_alpha:g}"
    tuning = spec.tuning if spec.tuning == "full" else f"{spec.tuning}, {rank}"
    lines = [
        "---",
        f"base_model: {spec.base}",
        "library_name: peft" if result.adapter else "library_name: transformers",
        "tags:",
        "- headrace",
        f"- {spec.method}",
        "---",
        f"# {result.name}",
        "",
        f"Made on {made} by the fine-tune `{card.job}`. Digest `{result.digest}`.",
        "",
        "| | |",
        "|---|---|",
        f"| Base | `{result.base}` |",
        f"| SHA-256 of the base | `{result.base_sha256}` |",
        f"| Method | {spec.method}, {tuning} |",
        f"| Prompt template | {card.template or 'none'} |",
        f"| Training data | {_data(card.training_data)} |",
        f"| Held-out data | {held_out} |",
        f"| Steps | {result.steps:,} of {plan.total_steps:,}, {plan.batch_size} examples each |",
        f"| Learning rate | {plan.learning_rate:g}, {plan.schedule} |",
        f"| Seed | {spec.seed} |",
        f"| Privacy of the training | {_privacy(result.privacy)} |",
        f"| Training loss | {_loss(result.train_loss)} |",
        f"| Held-out loss | {_loss(result.valid_loss)} |",
        f"| Tokens read | {result.trained_tokens:,} |",
        f"| Time | {result.wall_s:,.1f} s on {card.machine} |",
        f"| Energy | {energy} |",
        f"| Code | {', '.join(f'{name} {each}' for name, each in card.versions.items())} |",
        f"| People in the training data | {len(result.subjects):,} |",
        "",
        *_guarantee(card.training_data),
        *_evaluation(card.evaluations),
        "All settings are in `card.json`.",
    ]
    return "\n".join(lines) + "\n"


def _guarantee(data: DataUsed) -> list[str]:
    """What is promised of the people in the data."""
    promised = ["No guarantee is known of the people in it: it is no dataset."]
    if data.guarantee is not None:
        promised = [*sentences(data.guarantee)]
    return ["## Guarantee of the data", "", *(f"- {each}" for each in promised), ""]


def _evaluation(found: dict[str, Evaluated]) -> list[str]:
    if not found:
        return ["## Evaluation", "", "No suite was asked of it yet.", ""]
    rows = [
        f"| {each.suite} | {'passed' if each.passed else 'not passed'} "
        f"| {', '.join(f'{name} {score:.3f}' for name, score in each.scores.items())} "
        f"| {each.cases:,} | `{each.release[:19]}…` | {_moment(each.at)} |"
        for each in sorted(found.values(), key=lambda each: -each.at)
    ]
    head = ["| suite | gate | scores | cases | release | when |", "|---|---|---|---|---|---|"]
    return ["## Evaluation", "", *head, *rows, ""]


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _data(data: DataUsed) -> str:
    left_out = f", {data.left_out:,} left out" if data.left_out else ""
    return f"`{data.reference}`, {data.examples:,} examples{left_out}, `{data.digest}`"


def _privacy(found: Reached | None) -> str:
    if found is None:
        return "none: the adapter can be made to repeat what it learned"
    return (
        f"ε = {found.epsilon:.4g}, δ = {found.delta:g} for each of {found.people:,} people "
        f"(noise {found.noise_multiplier:.3g} × {found.max_grad_norm:g}, drawn with "
        f"{found.sample_rate:.3g} in {found.steps:,} steps; {found.measured_by})"
    )


def _loss(loss: float | None) -> str:
    return "not measured" if loss is None else f"{loss:.4f}"
