"""How a server differs from OpenAI's own, as data: a provider is never asked for by name."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["Quirks"]


class Quirks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an OpenAI-compatible server wants other words than OpenAI's (`quirks:`).

    Reading needs none of these: usage in the last chunk, in every chunk, in a choice or in
    `x_groq`, and thoughts in `reasoning_content` or `reasoning` are understood wherever they come.
    """

    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the limit of an answer's tokens is called."""
    stream_usage: bool = True
    """Whether it takes `stream_options: {include_usage: true}`; some send usage without."""
    developer_role: bool = False
    """Whether it knows the role `developer`; else such messages are sent as `system`."""
    system_messages: Literal["any", "one"] = "any"
    """Whether they may stand anywhere; else they are joined into one at the front."""
    message_names: bool = True
    """Whether a message may have a `name`; else it is left out."""
    seed: str = "seed"
    """What the seed is called; empty: it has none, and none is sent."""
    required_tool: Literal["required", "any", ""] = "required"
    """What `tool_choice: required` is called; empty: it cannot be asked for."""
    named_tool: bool = True
    """Whether `tool_choice` may name a function."""
    json_schema: bool = True
    """Whether `response_format` takes a schema; else such requests are refused."""
    thoughts_back: Literal["", "reasoning_content", "reasoning"] = ""
    """Under which name it wants its earlier thoughts back; empty: they are left out."""
    tool_call_id_chars: Annotated[int, Meta(ge=9)] = 40
    """Longest id of a tool call; 9 means exactly nine letters and digits, as Mistral has them."""
    unsupported: tuple[str, ...] = ()
    """Parameters that it does not have; a request that needs one is refused, naming it."""
    left_out: tuple[str, ...] = ()
    """Further fields of OpenAI's that are not sent, since they promise nothing about the answer."""
    cache_marks: bool = False
    """Whether it takes Anthropic's `cache_control` on parts and tools; else the marks are left out."""
    completions: bool = True
    """Whether it continues bare prompts (`/completions`)."""
    embeddings: bool = True
    """Whether it has `/embeddings`."""
    models: bool = True
    """Whether it lists its models."""
    usage_per_choice: bool = False
    """Whether each of several choices reports its own usage; they are added up."""
