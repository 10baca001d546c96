"""A dataset's card: what is in a version, for people, as Markdown.

The head follows the metadata of dataset cards on model hubs, so that tools which know those read it.
"""

from datetime import UTC, datetime

from headrace.datasets.guarantee import Guarantee, sentences
from headrace.datasets.statistics import Spread, Statistics
from headrace.datasets.version import Version

__all__ = ["card_of"]

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def card_of(
    version: Version, statistics: Statistics, splits: dict[str, int], guarantee: Guarantee
) -> str:
    """The card of one version."""
    made = datetime.fromtimestamp(version.created_at, UTC).strftime("%Y-%m-%d")
    languages = [each for each in statistics.languages if each != "unknown"]
    size = next((name for most, name in _SIZES if version.rows < most), "n>10M")
    lines = [
        "---",
        *(["language:", *(f"- {each}" for each in languages)] if languages else []),
        "size_categories:",
        f"- {size}",
        "---",
        f"# {version.name}, version {version.number}",
        "",
        f"{version.rows:,} rows, made on {made}. Digest `{version.digest}`.",
        "",
        "## What is in it",
        "",
        "| | |",
        "|---|---|",
        *(f"| {kind} rows | {count:,} |" for kind, count in statistics.kinds.items()),
        *(f"| in `{language}` | {count:,} |" for language, count in statistics.languages.items()),
        *(f"| split `{name}` | {count:,} |" for name, count in splits.items()),
        f"| nearly the same as another row | {statistics.similar_rows:,} |",
        "",
        f"| length in {statistics.unit} | mean | p50 | p95 | longest | all |",
        "|---|---|---|---|---|---|",
        _row("what is asked", statistics.prompt),
        _row("what is learned", statistics.answer),
        "",
        "## Personal data and what else was found",
        "",
        *(
            [f"- {kind}: in {count:,} rows" for kind, count in statistics.findings.items()]
            or ["Nothing was found, or nothing was looked for."]
        ),
        "",
        "## Guarantee",
        "",
        *(f"- {each}" for each in sentences(guarantee)),
        "",
        "## Where it is from",
        "",
        "| source | rows | known already | wrong | SHA-256 |",
        "|---|---|---|---|---|",
        *(
            f"| {each.what} | {each.rows:,} | {each.duplicates:,} | {each.refused:,} "
            f"| {f'`{each.digest[:16]}…`' if each.digest else ''} |"
            for each in version.manifest.origins
        ),
    ]
    return "\n".join(lines) + "\n"


def _row(what: str, spread: Spread) -> str:
    return (
        f"| {what} | {spread.mean:,.1f} | {spread.p50:,} | {spread.p95:,} | {spread.longest:,} "
        f"| {spread.total:,} |"
    )
