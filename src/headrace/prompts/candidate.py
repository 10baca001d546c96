"""Candidates for a better template: other instructions behind the system prompt, other examples.

The model is not asked for wordings: what is tried is known beforehand, in number and in cost.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from headrace.config.node import parse_yaml
from headrace.prompts.file import ExampleEntry, ExamplesSpec, LocalizedText, PromptFile
from headrace.prompts.labelled import Labelled
from headrace.prompts.reader import read_template
from headrace.prompts.source import source_of
from headrace.prompts.template import PromptTemplate

__all__ = ["INSTRUCTIONS", "Candidate", "candidates"]

Instruction = Mapping[str, str]
"""The words by language; `default` for those that have none of their own."""

INSTRUCTIONS: Sequence[Instruction] = (
    {
        "default": "Give the answer only, in exactly the form asked for, and nothing else.",
        "zh": "只写答案，严格按照要求的格式，不要写别的。",
    },
    {"default": "Be brief: one short sentence at most.", "zh": "简短回答，最多一句话。"},
    {
        "default": "Follow the examples exactly: their form, their length, their words.",
        "zh": "严格仿照示例的格式、长度和用词。",
    },
    {
        "default": "Read the request twice and check your answer before you write it.",
        "zh": "请仔细阅读两遍，核对答案后再写。",
    },
)
_SHOTS = (2, 4, 8)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A template to try, and what is different in it."""

    template: PromptTemplate
    change: str
    """In words; empty for the template as it is."""


def candidates(
    base: PromptTemplate,
    pool: Sequence[Labelled],
    *,
    most: int,
    seed: int,
    instructions: Sequence[Instruction] = INSTRUCTIONS,
) -> list[Candidate]:
    """The template as it is, then at most `most` - 1 others, each different from all.

    Args:
        pool: cases that may become examples; they must not be among those it is measured on.
    """
    draw = random.Random(seed)  # noqa: S311  # nothing secret
    found = {base.digest: Candidate(base, "")}
    usable = [each for each in pool if _is_example(each)] if base.reasoning is None else []
    sizes = sorted({min(size, len(usable)) for size in _SHOTS} - {0})
    plain: list[tuple[int, Instruction | None]] = [(size, None) for size in sizes]
    plain += [(0, each) for each in instructions]
    mixed = [(size, each) for size in sizes for each in (None, *instructions)]
    tries = [*plain, *(draw.choice(mixed) for _ in range(8 * most) if mixed)]
    for size, instruction in tries:
        if len(found) >= most:
            break
        shown = draw.sample(usable, size)
        made = _made(base, shown, instruction)
        parts = [f"{size} examples"] if size else []
        parts += [repr(instruction["default"])] if instruction is not None else []
        found.setdefault(made.digest, Candidate(made, " and ".join(parts)))
    return list(found.values())


def _is_example(case: Labelled) -> bool:
    """Whether a case can be shown: its answer is known, and rests on nothing else."""
    test = case.test
    return bool(case.answer) and not test.history and not test.variables and test.repeat == 1


def _made(
    base: PromptTemplate, shown: Sequence[Labelled], instruction: Instruction | None
) -> PromptTemplate:
    file = base.file
    if shown:
        more = [
            ExampleEntry(user=each.test.user, assistant=each.answer or "", language=None)
            for each in shown
        ]
        file = msgspec.structs.replace(file, examples=_with(file, more))
    if instruction is not None:
        system = _joined(file.messages.system, instruction)
        messages = msgspec.structs.replace(file.messages, system=system)
        file = msgspec.structs.replace(file, messages=messages)
    return template_of(file, base.name)


def template_of(file: PromptFile, name: str) -> PromptTemplate:
    """A file that was put together here, compiled."""
    node = parse_yaml(source_of(file), name, {}, root=Path())
    return read_template(node, name, Path(), trusted=True)


def _with(file: PromptFile, more: list[ExampleEntry]) -> list[ExampleEntry] | ExamplesSpec:
    """The new ones behind those that are there, and room for them."""
    spec = file.examples
    if not isinstance(spec, ExamplesSpec):
        return [*spec, *more]
    entries = [*more, *spec.entries] if spec.most is not None else [*spec.entries, *more]
    most = None if spec.most is None else min(100, spec.most + len(more))
    return msgspec.structs.replace(spec, entries=entries, most=most)


def _joined(system: LocalizedText | None, instruction: Instruction) -> LocalizedText:
    """The system prompt of each language with the instruction in that language behind it."""
    if system is None:
        return dict(instruction)
    texts = {"default": system} if isinstance(system, str) else system
    return {
        language: f"{text.rstrip()}\n{instruction.get(language, instruction['default'])}"
        for language, text in texts.items()
    }
