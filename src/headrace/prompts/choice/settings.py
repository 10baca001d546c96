"""How the step `template` chooses for requests that name no template (`template.choose`)."""

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["ChooseSettings", "ClassifierSettings", "RuleSettings"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unknown fields are errors."""


class RuleSettings(_Part, frozen=True, kw_only=True):
    """One rule (`template.choose.rules[]`): all that it says must hold."""

    template: str
    """The template to use."""
    languages: list[str] = []
    """The user's language is one of these (ISO 639-1)."""
    matches: str | None = None
    """A regular expression (Python's) found in the last message."""
    any_of: list[str] = []
    """The last message has one of these texts, in any case."""
    metadata: dict[str, str] = {}
    """The request's metadata has these values."""
    variables: list[str] = []
    """The request gives these variables, such as `documents`."""
    tools: bool | None = None
    """Whether the request offers tools."""
    attachments: bool | None = None
    """Whether the last message holds more than text: an image, a file."""
    min_chars: Annotated[int, Meta(ge=1)] | None = None
    """Least length of the last message."""
    max_chars: Annotated[int, Meta(ge=1)] | None = None
    """Greatest length of the last message."""


class ClassifierSettings(_Part, frozen=True, kw_only=True):
    """The classifier (`template.choose.classifier`); `{}` takes the defaults."""

    among: list[str] = []
    """The templates to choose from; empty: all that have `scenario.asks`."""
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.6
    """Confidence below which the step's own template is used."""


class ChooseSettings(_Part, frozen=True, kw_only=True):
    """How a template is chosen when the request names none: rules first, in their order."""

    rules: list[RuleSettings] = []
    """The first rule that holds decides."""
    classifier: ClassifierSettings | None = None
    """Decides when no rule holds; absent: the step's own template does."""
