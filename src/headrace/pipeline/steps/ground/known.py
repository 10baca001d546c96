"""What the service knows of the names and dates in a question, for the grounding and the trace."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime

from headrace.errors import ConfigError
from headrace.knowledge.entities.link import EntityLinker, facts, trace_attributes
from headrace.knowledge.entities.zone import EXAMPLES, zone_named
from headrace.pipeline.turn import Turn

__all__ = ["FACTS", "Knower", "Known"]

FACTS = "ground.facts"
"""Where a turn's state says what was put in, so that an answer may stand on it too."""

_MOST_CHARS = 16_000
"""Of a longer question only its end is looked at: 1,000 characters take 3-4 ms, and others wait."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was linked in one question."""

    facts: Sequence[str]
    """A line each."""
    attributes: Mapping[str, str | list[str]]
    """For the trace: kind, entity, score and span of each link; dates and amounts unnamed."""


class Knower:
    """Links questions to the glossary; dates are meant in the request's time zone."""

    def __init__(self, linker: EntityLinker, timezone: str) -> None:
        """
        Args:
            timezone: for requests that name none (`metadata.timezone`, `x-headrace-timezone`).

        Raises:
            ConfigError: there is no such time zone.
        """
        self._linker = linker
        zone = zone_named(timezone)
        if zone is None:
            raise ConfigError(
                f"pipeline: ground.knowledge.timezone: there is no time zone {timezone!r}",
                hint=f"a name such as {EXAMPLES}",
            )
        self._name = timezone
        self._zone = zone

    def of(self, turn: Turn, previous: str, roles: AbstractSet[str]) -> Known:
        """What is known of the turn's question, at the time of the turn.

        Args:
            previous: the question before it, which helps to tell namesakes apart.
            roles: as whom the asker may be told.
        """
        asked = turn.metadata.get("timezone", "")
        zone = zone_named(asked) if asked else None
        question = turn.question
        skipped = max(0, len(question) - _MOST_CHARS)
        links = self._linker.link(
            question[skipped:],
            now=datetime.fromtimestamp(turn.trace.started_at, UTC),
            timezone=zone or self._zone,
            context=[previous[-_MOST_CHARS:]] if previous else (),
            roles=roles,
        )
        if not links:
            return Known((), {})
        noted = trace_attributes(links, content=False)
        attributes: dict[str, str | list[str]] = {
            f"headrace.link.{name}s": [str(each[name]) for each in noted] for name in ("kind", "id")
        }
        attributes["headrace.link.scores"] = [f"{each.score:.3f}" for each in links]
        attributes["headrace.link.spans"] = [
            f"{each.start + skipped}-{each.end + skipped}" for each in links
        ]
        attributes["headrace.link.timezone"] = asked if zone is not None else self._name
        return Known(facts(links).splitlines(), attributes)
