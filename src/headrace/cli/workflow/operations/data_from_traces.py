"""`data.from_traces`: examples from what was really asked, of people who allow it."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from headrace.cli.data.harvest import QUASI, harvested
from headrace.cli.place import Place
from headrace.datasets.anonymise import Fields
from headrace.datasets.anonymity import Goal
from headrace.datasets.harvest import Wanted
from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["DataFromTraces"]

DAY_S = 86_400.0


class DataFromTracesSettings(Settings, frozen=True):
    """Which turns become examples; as the options of `headrace data from-traces`."""

    name: str
    """The dataset."""
    since_days: Annotated[float, Meta(gt=0)] = 30.0
    """Turns of the last days."""
    rated: Literal["good"] | None = None
    """Only answers that were rated so."""
    corrected: bool = False
    """Only answers that somebody has corrected."""
    pairs: bool = False
    """Preference pairs: each correction before what was answered."""
    model: str | None = None
    """Only of this model."""
    language: str | None = None
    """Only in this language."""
    template: str | None = None
    """Only by this prompt template."""
    policy: str = "default"
    """What is masked, by its rules."""
    k: Annotated[int, Meta(ge=2)] | None = None
    """So many people at least share each combination of the fields below; needs the extra `privacy`."""
    quasi: tuple[str, ...] = QUASI
    """Fields of an example's metadata by which somebody might be known."""
    suppress: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    """Share of the examples that may be left out for it."""


class DataFromTraces(Operation):
    """Adds examples made of traces to a dataset, of people whose consent for training holds."""

    Settings = DataFromTracesSettings
    returns: ClassVar[tuple[str, ...]] = (
        "version", "digest", "rows", "added", "looked_at", "taken", "people",
    )  # fmt: skip
    is_repeatable = False
    runs_apart = True

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, DataFromTracesSettings)
        wanted = Wanted(
            least_score=1 if settings.rated == "good" else None,
            model=settings.model,
            language=settings.language,
            template=settings.template,
            only_corrected=settings.corrected,
            as_pairs=settings.pairs,
        )
        added, report, people = harvested(
            Place(context.root, context.home),
            context.database(),
            settings.name,
            settings.since_days * DAY_S,
            wanted,
            settings.policy,
            anonymous=None
            if settings.k is None
            else (
                Fields(quasi=settings.quasi),
                Goal(k=settings.k, most_suppressed=settings.suppress),
            ),
        )
        return {
            "version": added.version.reference,
            "digest": added.version.digest,
            "rows": added.version.rows,
            "added": added.rows,
            "looked_at": report.looked_at,
            "taken": report.taken,
            "people": people,
        }
