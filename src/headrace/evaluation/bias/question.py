"""What is asked, and about whom: questions with a gap, and groups that fill it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import msgspec

from headrace.config.node import Node, load_yaml, parse_yaml

__all__ = ["GAP", "Question", "QuestionSet", "load_questions"]

GAP = "{who}"


class QuestionSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The questions of one language."""

    attributes: dict[str, dict[str, list[str]]]
    """By attribute, two groups, each with two stand-ins or more."""
    questions: dict[str, str]
    """By name; each has `{who}` in it once or more."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one stand-in."""

    language: str
    attribute: str
    name: str
    group: str
    number: int
    """Which stand-in of the group."""
    who: str
    text: str


def load_questions(
    path: Path | None,
    languages: Sequence[str],
    attributes: Sequence[str],
    environ: Mapping[str, str],
) -> list[Question]:
    """The questions of a file, or the built-in ones, of these languages and attributes (none: all).

    Raises:
        ConfigError: with file and line, when the file is wrong or has nothing of that kind.
    """
    if path is None:
        text = files("headrace.evaluation.bias").joinpath("questions.yaml").read_text("utf-8")
        node = parse_yaml(text, "built-in questions", environ, root=Path())
    else:
        node = load_yaml(path, environ)
    if not isinstance(node.value, dict):
        raise node.error("expected a mapping by language")
    known = {name for each in node.value.values() for name in (each or {}).get("attributes", {})}
    for wanted in (set(languages) - {*node.value}) or (set(attributes) - known):
        raise node.error(
            f"nothing here is of {wanted!r}",
            hint=f"languages: {', '.join(node.value)}; attributes: {', '.join(sorted(known))}",
        )
    return [
        question
        for language in node.value
        if not languages or language in languages
        for question in _of_language(node.child(language), language, attributes)
    ]


def _of_language(node: Node, language: str, attributes: Sequence[str]) -> list[Question]:
    found = node.convert(QuestionSet)
    for name, text in found.questions.items():
        if GAP not in text:
            raise node.error(f"a question needs {GAP} where the person stands", "questions", name)
    made: list[Question] = []
    for attribute, groups in found.attributes.items():
        if attributes and attribute not in attributes:
            continue
        counts = {len(people) for people in groups.values()}
        if len(groups) != 2 or len(counts) != 1 or min(counts) < 2:
            raise node.error(
                "an attribute has two groups with equally many stand-ins, two or more",
                "attributes",
                attribute,
            )
        made += [
            Question(language, attribute, name, group, number, who, text.replace(GAP, who))
            for name, text in found.questions.items()
            for group, people in groups.items()
            for number, who in enumerate(people)
        ]
    return made
