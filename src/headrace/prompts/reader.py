"""From a file to a template: everything that can be wrong with one is found here, at load."""

import re
from pathlib import Path
from typing import TypeVar

import msgspec

from headrace.config.node import Node
from headrace.prompts.case import try_template
from headrace.prompts.dataset import read_examples
from headrace.prompts.example import Examples
from headrace.prompts.file import (
    ExampleEntry,
    ExamplesSpec,
    MapReduceSpec,
    MessageTexts,
    OutputSpec,
    PromptFile,
    PromptTest,
)
from headrace.prompts.longer import MapReduce
from headrace.prompts.reasoning import Reasoning, read_reasoning
from headrace.prompts.schema import check_schema
from headrace.prompts.source import digest_of
from headrace.prompts.template import PromptTemplate
from headrace.prompts.text import Localized, read_localized
from headrace.prompts.variable import Variable, Variables
from headrace.types import Params

__all__ = ["is_template_name", "read_template"]

S = TypeVar("S", bound=msgspec.Struct)

_BY_PART = (
    "variables",
    "messages",
    "examples",
    "reasoning",
    "output",
    "map_reduce",
    "tests",
)
"""Read part by part, so that an error points at the line."""
_NAME = re.compile(r"\w[\w.-]{0,99}")
FROM_A_FILE = 8
"""Examples of a dataset that a turn gets when `most` does not say."""


def read_template(node: Node, name: str, root: Path, *, trusted: bool = False) -> PromptTemplate:
    """The template in a file.

    Args:
        name: what it is called, unless the file says otherwise.
        root: the service's folder, where datasets are looked for.
        trusted: it is one of Headrace's own, whose schemas the tests have looked at.

    Raises:
        ConfigError: says file, line and field; for a dataset its own file and line.
    """
    if not isinstance(node.value, dict):
        raise node.error("a prompt template is a mapping", hint="see docs/prompts.md")
    file = node.without(*_BY_PART).convert(PromptFile)
    name = _name(node, file.name or name)
    variables = Variables(
        {key: Variable.read(node.child("variables", key), key) for key in _keys(node, "variables")}
    )
    names = {*variables.declared, "language", "today"}
    texts, system, user = _messages(node, names)
    reasoning = None
    if node.value.get("reasoning") is not None:
        reasoning = read_reasoning(node.child("reasoning"), names)
    examples = _examples(node, root)
    map_reduce = _map_reduce(node, names)
    file = msgspec.structs.replace(
        file,
        variables={key: each.spec for key, each in variables.declared.items()},
        messages=texts,
        examples=examples.spec,
        reasoning="none" if reasoning is None else reasoning.spec,
        output=_output(node, reasoning, trusted=trusted),
        map_reduce=None if map_reduce is None else map_reduce.spec,
        tests=_items(node, "tests", PromptTest),
    )
    template = PromptTemplate(
        name=name,
        digest=digest_of(file),
        file=file,
        variables=variables,
        system=system,
        user=user,
        examples=examples,
        reasoning=reasoning,
        params=_params(name, file),
        map_reduce=map_reduce,
    )
    try_template(node, template, trusted=trusted)
    return template


def is_template_name(name: str) -> bool:
    """Whether a template may be called so."""
    return _NAME.fullmatch(name) is not None


def _name(node: Node, name: str) -> str:
    if not is_template_name(name):
        raise node.error(
            f"{name!r} cannot name a template",
            hint="use letters, digits, `_`, `-` and `.`, beginning with a letter or digit",
        )
    return name


def _keys(node: Node, part: str) -> list[str]:
    """The names in a mapping, which may be absent."""
    assert isinstance(node.value, dict)
    value = node.value.get(part)
    if value is None:
        return []
    if not isinstance(value, dict):
        raise node.error("expected a mapping by name", part)
    return list(value)


def _items(node: Node, part: str, kind: type[S]) -> list[S]:
    """The entries of a list, which may be absent."""
    assert isinstance(node.value, dict)
    value = node.value.get(part)
    if value is None:
        return []
    if not isinstance(value, list):
        raise node.error("expected a list", part, hint="write each entry behind `- `")
    return [node.child(part, at).convert(kind) for at in range(len(value))]


def _messages(
    node: Node, names: set[str]
) -> tuple[MessageTexts, Localized | None, Localized | None]:
    """The texts as written, and the system and user texts compiled."""
    if not _keys(node, "messages"):
        return MessageTexts(), None, None
    at = node.child("messages")
    texts = at.convert(MessageTexts)
    system = user = None
    if texts.system is not None:
        system = read_localized(at.child("system"), names)
    if texts.user is not None:
        user = read_localized(at.child("user"), {*names, "input"})
        for text in user.by_language.values():
            if "input" not in text.names():
                raise at.error(
                    "the text leaves out what the user wrote", "user", hint="add {{ input }} to it"
                )
    return texts, system, user


def _examples(node: Node, root: Path) -> Examples:
    """The examples as listed, and behind them those of the dataset."""
    assert isinstance(node.value, dict)
    value = node.value.get("examples")
    if not isinstance(value, dict):
        entries = _items(node, "examples", ExampleEntry)
        return Examples(tuple(entries), ExamplesSpec(entries=entries))
    at = node.child("examples")
    entries = _items(at, "entries", ExampleEntry)
    spec = at.without("entries").convert(ExamplesSpec)
    if spec.source is not None:
        entries = [*entries, *read_examples(at.child("from"), root)]
        spec = msgspec.structs.replace(spec, most=spec.most or FROM_A_FILE)
    spec = msgspec.structs.replace(spec, entries=entries)
    return Examples(tuple(entries), spec)


def _map_reduce(node: Node, names: set[str]) -> MapReduce | None:
    if not _keys(node, "map_reduce"):
        return None
    at = node.child("map_reduce")
    spec = at.convert(MapReduceSpec)
    part = read_localized(at.child("part"), {*names, "input"})
    for text in part.by_language.values():
        if "input" not in text.names():
            raise at.error("the text leaves out the part", "part", hint="add {{ input }} to it")
    return MapReduce(spec, part)


def _output(node: Node, reasoning: Reasoning | None, *, trusted: bool) -> OutputSpec | None:
    if not _keys(node, "output"):
        return None
    at = node.child("output")
    output = at.convert(OutputSpec)
    if not trusted:
        check_schema(at, output.schema)
    if reasoning is not None:
        raise at.error(
            "an answer in JSON has no room for a thought before it",
            hint="leave out `reasoning`, and make the thought the schema's first property",
        )
    return output


def _params(name: str, file: PromptFile) -> Params:
    params = Params(**msgspec.structs.asdict(file.params))
    if file.output is None:
        return params
    schema: dict[str, object] = {"name": name, "schema": file.output.schema, "strict": True}
    return msgspec.structs.replace(
        params, response_format={"type": "json_schema", "json_schema": schema}
    )
