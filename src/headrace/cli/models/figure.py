"""Figures of models, as tables show them and as JSON."""

from typing import TYPE_CHECKING

import msgspec

from headrace.console.figure import as_seconds
from headrace.models.catalogue.catalogue import Entry
from headrace.models.catalogue.entry import Price, Retirement

if TYPE_CHECKING:
    from headrace.telemetry.measured import Measured

__all__ = [
    "as_last_day",
    "as_price",
    "as_rate",
    "as_tokens",
    "as_ttft",
    "as_usd_per_million",
    "entry_fields",
    "measured_fields",
]


def as_tokens(tokens: int | None) -> str:
    """`8,192`, `128k`, `1.05M`; nothing where it is not known."""
    if tokens is None:
        return ""
    if tokens >= 1_000_000:
        return f"{tokens / 1e6:.3g}M"
    return f"{tokens:,}" if tokens < 10_000 else f"{tokens / 1e3:.3g}k"


def as_usd_per_million(usd: float | None) -> str:
    """`$0.075`, `$0.30`, `$15`: cents, and more where they matter."""
    if usd is None:
        return ""
    if usd == round(usd):
        return f"${usd:.0f}"
    return f"${usd:.2f}" if abs(usd * 100 - round(usd * 100)) < 1e-9 else f"${usd:.4g}"


def as_price(price: Price | None) -> str:
    """Input and output, per million tokens: `$0.15/$0.60`."""
    if price is None:
        return ""
    return f"{as_usd_per_million(price.input)}/{as_usd_per_million(price.output)}"


def as_rate(tokens_per_s: float | None) -> str:
    if tokens_per_s is None:
        return ""
    return f"{tokens_per_s:,.0f}/s" if tokens_per_s >= 100 else f"{tokens_per_s:.3g}/s"


def as_last_day(retirement: Retirement | None) -> str:
    """`2026-12-11`, or `≥2027-05-07` where the day is not set."""
    if retirement is None:
        return ""
    return f"{'≥' if retirement.is_earliest else ''}{retirement.date}"


def as_ttft(figures: "Measured | None") -> str:
    if figures is None or figures.ttft_p50_s is None:
        return ""
    return as_seconds(figures.ttft_p50_s)


def entry_fields(entry: Entry) -> dict[str, object]:
    """All that the catalogue knows of a model, with days and pages."""
    facts = msgspec.to_builtins(entry.facts)
    assert isinstance(facts, dict)
    known = {name: value for name, value in facts.items() if value is not None}
    known["licence"] = None
    if entry.facts.licence is not None:
        terms = {} if entry.licence is None else msgspec.to_builtins(entry.licence)
        known["licence"] = {"id": entry.facts.licence, **terms}
    return {"id": entry.id, "provider": entry.provider, **known}


def measured_fields(figures: "Measured | None") -> dict[str, object] | None:
    if figures is None:
        return None
    fields = msgspec.to_builtins(figures)
    assert isinstance(fields, dict)
    return fields
