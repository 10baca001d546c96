"""A template as text: what its digest is over, and a file that gives the same digest again.

That file needs nothing beside it: the rows of a dataset and whatever `${…}` brought in stand in it.
"""

import hashlib
from typing import Any, Final

import msgspec
import yaml

from headrace.config.scalar import scalar
from headrace.prompts.file import ExamplesSpec, PromptFile

__all__ = ["digest_of", "source_of"]

_WIDTH: Final = 2**31
"""No line is broken where its writer did not: a diff is by lines."""


class _Dumper(yaml.SafeDumper):
    """Blocks for texts of several lines, as people write them."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    if style is None and scalar(value) != value:
        style = '"'  # our reader would take it for a number, though YAML 1.1 would not
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def digest_of(file: PromptFile) -> str:
    """SHA-256 over canonical JSON: what is not said does not count, nor does order, nor the name."""
    plain = _plain(file)
    # A model writes a schema's properties in their order, so there order does count.
    if file.output is not None:
        plain["output"]["schema"] = msgspec.json.encode(file.output.schema).decode()
    return "sha256:" + hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


def source_of(file: PromptFile) -> str:
    """The text of a file that means the same: fields in the format's order, no comments."""
    text = yaml.dump(
        _escaped(_plain(file)),
        Dumper=_Dumper,
        allow_unicode=True,
        sort_keys=False,
        width=_WIDTH,
        default_flow_style=False,
    )
    assert isinstance(text, str)
    return text


def _plain(file: PromptFile) -> dict[str, Any]:
    plain = msgspec.to_builtins(file)
    assert isinstance(plain, dict)
    plain.pop("name", None)
    spec = file.examples
    if isinstance(spec, ExamplesSpec):
        plain["examples"].pop("from", None)
        if set(plain["examples"]) <= {"entries"}:
            plain["examples"] = plain["examples"].get("entries", [])
        if not plain["examples"]:
            del plain["examples"]
    if "params" in plain:
        said = {key: value for key, value in plain["params"].items() if value not in (None, {})}
        plain["params"] = said
    return plain


def _escaped(value: object) -> object:
    """With `${` written so that it is not filled in when the text is read."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    return value
