"""The chain-of-thought form of a template: the words that ask for it, and the answer's marker."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import msgspec

from headrace.config.node import Node, parse_yaml
from headrace.prompts.file import ReasoningForm, ReasoningSpec
from headrace.prompts.text import Localized, read_localized
from headrace.prompts.thought import Marker

__all__ = ["Reasoning", "read_reasoning"]

_WORDS = ReasoningSpec(
    form="hidden",
    marker={"default": "Final answer:", "zh": "最终答案："},
    instruction={
        "default": 'First write your steps. Then end with one line that starts with "{{ marker }}".',
        "zh": "请先写出步骤，最后一行以“{{ marker }}”开头，只写答案。",
    },
)
"""Headrace's own words, for templates that bring none. They are part of a template's digest.

Chosen by trying: of ten questions the built-in model (135M) marked its answer in none to four
with other wordings and no example, in nine with these and two examples (step_by_step.yaml).
"""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How a template makes the model think before it answers."""

    form: ReasoningForm
    spec: ReasoningSpec
    """As in the file, with Headrace's own words where it has none."""
    instruction: Localized
    watched: Marker
    """The markers of all languages, as they are looked for on the stream."""
    _marker: Localized
    _written: Mapping[str, str]

    def marker(self, language: str | None) -> str:
        """The marker that the model is asked to write in a language."""
        return self._written[self._marker.choose(language)[0]]


def read_reasoning(node: Node, names: Collection[str]) -> Reasoning | None:
    """The form declared at `node`; None for `none`.

    Raises:
        ConfigError: a form that does not exist, a marker that cannot be found on a stream.
    """
    if isinstance(node.value, dict):
        spec = node.convert(ReasoningSpec)
    else:
        spec = ReasoningSpec(form=node.convert(ReasoningForm))  # type: ignore[arg-type]  # Literal
    if spec.form == "none":
        return None
    own = parse_yaml(msgspec.json.encode(_WORDS).decode(), "built-in words", {}, root=Path())
    at_marker = (own if spec.marker is None else node).child("marker")
    at_instruction = (own if spec.instruction is None else node).child("instruction")
    marker = read_localized(at_marker, ())
    written = {key: text.render({}) for key, text in marker.by_language.items()}
    _check_markers(at_marker, sorted(set(written.values())))
    return Reasoning(
        form=spec.form,
        spec=msgspec.structs.replace(
            spec,
            marker=spec.marker or _WORDS.marker,
            instruction=spec.instruction or _WORDS.instruction,
        ),
        instruction=read_localized(at_instruction, {*names, "marker"}),
        watched=Marker.compiled(sorted(set(written.values()))),
        _marker=marker,
        _written=written,
    )


def _check_markers(node: Node, written: list[str]) -> None:
    """Refuse what could not be found on a stream, or not be told apart."""
    for each in written:
        colon = each.endswith((":", "："))
        if not each or "\n" in each or (colon and not each[0].isalnum()):
            raise node.error(
                f"{each!r} cannot mark an answer",
                hint="write a few words with a colon (`Final answer:`) or a tag (`</think>`)",
            )
    for one, other in permutations(written, 2):
        if one.rstrip(":： ").lower() in other.lower():
            raise node.error(
                f"the marker {one!r} is part of the marker {other!r}", hint="choose another word"
            )
