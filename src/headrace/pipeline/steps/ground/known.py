"""What the service knows of the names and dates in a question, for the grounding and the trace."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from headrace.errors import ConfigError
from headrace.knowledge.entities.link import EntityLinker, facts, trace_attributes
from headrace.pipeline.turn import Turn

__all__ = ["FACTS", "Knower", "Known"]

FACTS = "ground.facts"
"""Where a turn's state says what was put in, so that an answer may stand on it too."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was linked in one question."""

    facts: Sequence[str]
    """A line each."""
    attributes: Mapping[str, list[str]]
    """For the trace: kind, entity, score and span of each link; dates and amounts unnamed."""


def _now() -> datetime:
    return datetime.now(UTC)


class Knower:
    """Links questions to the glossary; dates are meant in the request's time zone."""

    def __init__(
        self, linker: EntityLinker, timezone: str, *, clock: Callable[[], datetime] = _now
    ) -> None:
        """
        Args:
            timezone: for requests that name none (`metadata.timezone`).

        Raises:
            ConfigError: there is no such time zone.
        """
        self._linker = linker
        self._clock = clock
        zone = _zone(timezone)
        if zone is None:
            raise ConfigError(
                f"pipeline: ground.knowledge.timezone: there is no time zone {timezone!r}",
                hint="a name such as UTC, Europe/Berlin or Asia/Shanghai",
            )
        self._zone = zone

    def of(self, turn: Turn, previous: str) -> Known:
        """What is known of the turn's question; the one before it helps to tell namesakes apart."""
        zone = _zone(turn.metadata.get("timezone", "")) or self._zone
        links = self._linker.link(
            turn.question, now=self._clock(), timezone=zone, context=[previous] if previous else ()
        )
        noted = trace_attributes(links, content=False)
        attributes = {
            f"headrace.link.{name}s": [str(each[name]) for each in noted] for name in ("kind", "id")
        }
        attributes["headrace.link.scores"] = [f"{each.score:.3f}" for each in links]
        attributes["headrace.link.spans"] = [f"{each['start']}-{each['end']}" for each in noted]
        return Known(facts(links).splitlines(), attributes if links else {})


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None
