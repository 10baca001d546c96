"""The model card: what an adapter is made of, for people (Markdown) and for programs (JSON).

The head follows the metadata of model cards on model hubs. No text of any example is in it.
"""

from datetime import UTC, datetime
from importlib import metadata

import msgspec

from headrace import __version__
from headrace.training.job import FineTune, Job, Result
from headrace.training.plan import Plan

__all__ = ["Card", "DataUsed", "card_of", "versions"]

_PACKAGES = ("torch", "transformers", "peft", "gguf")


class DataUsed(msgspec.Struct, frozen=True, kw_only=True):
    """Examples of one kind of use."""

    reference: str
    digest: str
    """SHA-256 of the dataset version or the file."""
    examples: int
    left_out: int = 0
    """Rows that could not be used, or were too long."""


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
    evaluations: dict[str, float] = {}
    """Scores, where somebody measured; nobody has when the card is written."""


def versions() -> dict[str, str]:
    """Of the code that trained."""
    found = {"headrace": __version__}
    for name in _PACKAGES:
        found[name] = metadata.version(name)
    return found


def card_of(card: Card, job: Job) -> str:
    """The card as Markdown."""
    result, spec, plan = card.result, job.spec, card.plan
    made = datetime.fromtimestamp(card.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
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
        f"| Training loss | {_loss(result.train_loss)} |",
        f"| Held-out loss | {_loss(result.valid_loss)} |",
        f"| Tokens read | {result.trained_tokens:,} |",
        f"| Time | {result.wall_s:,.1f} s on {card.machine} |",
        f"| Energy | {energy} |",
        f"| Code | {', '.join(f'{name} {each}' for name, each in card.versions.items())} |",
        f"| People in the training data | {len(result.subjects):,} |",
        "| Evaluation | not evaluated when this was written |",
        "",
        "All settings are in `card.json`.",
    ]
    return "\n".join(lines) + "\n"


def _data(data: DataUsed) -> str:
    left_out = f", {data.left_out:,} left out" if data.left_out else ""
    return f"`{data.reference}`, {data.examples:,} examples{left_out}, `{data.digest}`"


def _loss(loss: float | None) -> str:
    return "not measured" if loss is None else f"{loss:.4f}"
