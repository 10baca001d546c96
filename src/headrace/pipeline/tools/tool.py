"""What a tool is to the loop: a function the model may call, and what came of a call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from headrace.access.principal import Principal
from headrace.knowledge.passage import Passage
from headrace.pipeline.tools.schema import ArgumentSchema
from headrace.pipeline.tools.settings import ToolSettings

__all__ = ["Function", "Result", "Run", "ToolKind"]

ToolKind: TypeAlias = Literal["datastore", "extension", "function"]
"""`gen_ai.tool.type`: a search of our own, a call from here to an API, anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a call gave."""

    text: str = ""
    passages: Sequence[Passage] | None = None
    """Of a search in the knowledge base: what was found, to be numbered and cited."""
    is_cut: bool = False
    """Whether there was more than the text."""
    is_error: bool = False
    """Whether the text says what went wrong."""


class Run(Protocol):
    """Does the work of one function."""

    async def __call__(self, arguments: Mapping[str, object], principal: Principal) -> Result:
        """Raises ToolFailed; cancelling it leaves nothing behind."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function that the model is offered."""

    name: str
    """As the model calls it."""
    tool: str
    """The tool's name in headrace.yaml."""
    kind: ToolKind
    description: str
    parameters: Mapping[str, object]
    schema: ArgumentSchema
    settings: ToolSettings
    run: Run

    @property
    def offer(self) -> dict[str, object]:
        """As a chat completion's `tools` has it."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": dict(self.parameters),
            },
        }
