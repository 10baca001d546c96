"""How passages stand in a prompt: numbered, and fenced so that they are data to the model.

The fence carries a digest of everything inside it and of the question. A passage cannot hold the
digest of a text that it is part of, so no document can close the fence. It is no random number, so
that the same question with the same passages is the same prompt, for caches.
"""

import hashlib
from collections.abc import Sequence

from headrace.knowledge.passage import Passage

__all__ = ["INSTRUCTIONS", "enclosed", "fenced", "heading_of", "numbered"]

INSTRUCTIONS = {
    "en": (
        "Answer the question below from these passages. Put the number of the passage behind each "
        "statement, like [1]. If they do not answer it, say that they do not."
    ),
    "zh": (
        "请根据下面的资料回答后面的问题，并在每个说法之后用方括号注明资料编号，例如[1]。"
        "如果资料没有回答这个问题，请直接说明。"
    ),
}
"""What is said in front of the passages, by language."""
_FACTS = {"en": "Known names in the question:", "zh": "问题中的已知名称："}


def heading_of(passage: Passage) -> str:
    """Where it stands, in one line."""
    path = [passage.title, *(each for each in passage.headings if each != passage.title)]
    line = " › ".join(filter(None, (" ".join(part.split()) for part in path))) or passage.uri
    return f"{line} (p. {passage.page})" if passage.page is not None else line


def numbered(passage: Passage, number: int) -> str:
    """The passage as the model reads it, under the number to cite it by."""
    return f"[{number}] {heading_of(passage)}\n{passage.text.strip()}"


def enclosed(inside: str, tag: str, salt: str) -> str:
    """A text between fences that it cannot close.

    Args:
        salt: what else the mark depends on, such as the question.
    """
    mark = hashlib.sha256(f"{inside}\0{salt}".encode()).hexdigest()[:12]
    return f"<{tag} {mark}>\n{inside}\n</{tag} {mark}>"


def fenced(
    passages: Sequence[Passage],
    question: str,
    language: str | None,
    *,
    instructions: str | None = None,
    facts: Sequence[str] = (),
) -> str:
    """What stands in front of the question.

    Args:
        instructions: in place of the built-in words.
        facts: what is known of the names in the question, one line each.
    """
    code = "zh" if language == "zh" else "en"
    blocks = [numbered(passage, number) for number, passage in enumerate(passages, start=1)]
    if facts:
        lines = "\n".join(" ".join(fact.split()) for fact in facts)
        blocks.append(f"{_FACTS[code]}\n{lines}")
    words = (instructions or INSTRUCTIONS[code]) if passages else ""
    fence = enclosed("\n\n".join(blocks), "passages", question)
    return "\n\n".join(filter(None, (words, fence)))
