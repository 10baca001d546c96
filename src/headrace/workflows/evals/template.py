"""Filling `{{item.x}}` and `{{sample.output_text}}` into the texts of an eval."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from headrace.errors import InvalidRequest

__all__ = ["filled", "messages"]

_HOLE = re.compile(r"\{\{\s*([A-Za-z_]\w*(?:\.[\w-]+)*)\s*\}\}")


def filled(text: str, values: Mapping[str, object]) -> str:
    """The text with every reference filled in; what is no text is written as JSON.

    Raises:
        InvalidRequest: something it names is not there.
    """
    return _HOLE.sub(lambda match: _text(_value(match[1], values)), text)


def messages(template: Sequence[object], values: Mapping[str, object]) -> list[dict[str, str]]:
    """A template's messages, filled in.

    Raises:
        InvalidRequest: it is no list of messages of text.
    """
    found = []
    for each in template:
        if not isinstance(each, dict) or not isinstance(each.get("role"), str):
            raise InvalidRequest("a message of a template has a `role` and a `content`")
        role = "system" if each["role"] == "developer" else each["role"]
        found.append({"role": role, "content": filled(_content(each.get("content")), values)})
    return found


def _content(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise InvalidRequest("the `content` of a message is text")
    parts = []
    for part in content:
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else 0
        if not isinstance(text, str):
            raise InvalidRequest("evals here take text only: no images and no audio")
        parts.append(text)
    return "\n".join(parts)


def _value(path: str, values: Mapping[str, object]) -> object:
    found: object = values
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            raise InvalidRequest(f"`{{{{{path}}}}}` names nothing that is there")
        found = found[name]
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
