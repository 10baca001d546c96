"""Marks of chat templates that a model writes as text: dropped, or the end of the answer.

A mark that would begin somebody else's turn (`<|im_start|>user`, `[INST]`) ends the answer: what
follows is the model talking to itself. Marks in code stay, for answers that explain them. `<s>`
away from the answer's beginning stays with its `</s>`: it strikes text through in HTML.
"""

import re

from headrace.pipeline.steps.refine.span import Span
from headrace.pipeline.steps.refine.tally import Tally
from headrace.types import FinishReason

__all__ = ["TemplateTokens"]

_ROLES = ("user", "system", "tool", "developer")
_OTHERS_TURN = (
    *(f"<|im_start|>{role}" for role in _ROLES),
    *(f"<|start_header_id|>{role}" for role in _ROLES),
    *(f"<start_of_turn>{role}" for role in _ROLES),
    *(f"<|{role}|>" for role in _ROLES),
    "[INST]",
    "<<SYS>>",
    "<｜User｜>",
)
_DROPPED = (
    *(
        mark + rest
        for mark in ("<|im_start|>", "<|start_header_id|>")
        for rest in (
            "",
            "assistant",
            "assistant\n",
            "assistant<|end_header_id|>",
            "assistant<|end_header_id|>\n\n",
        )
    ),
    *(f"<start_of_turn>{rest}" for rest in ("", "model", "model\n")),
    "<|end_header_id|>",
    "<|im_end|>",
    "<|im_sep|>",
    "<|endoftext|>",
    "<|startoftext|>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|endofprompt|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|eos|>",
    "<|bos|>",
    "<|pad|>",
    "<|end|>",
    "<|eot|>",
    "<|assistant|>",
    "<|assistant|>\n",
    "<|python_tag|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<bos>",
    "<eos>",
    "<pad>",
    "</s>",
    "<s>",
    "[/INST]",
    "<</SYS>>",
    "<｜Assistant｜>",
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
)
_LABELS = (
    *(
        label
        for name in ("Assistant", "ASSISTANT", "assistant")
        for label in (f"{name}:", f"**{name}:**", f"**{name}**:", f"### {name}:", f"### {name}\n")
    ),
    "### Response:",
    "### Answer:",
    "助手：",
    "助手:",
)
"""What a model may write before its answer, at the very beginning."""

_MARKS = tuple(sorted({*_OTHERS_TURN, *_DROPPED}, key=len, reverse=True))
_MARK = re.compile("|".join(map(re.escape, _MARKS)))
_LONGEST_MARK = len(_MARKS[0])
_BEGINNINGS = frozenset(mark[:end] for mark in _MARKS for end in range(1, len(mark)))
_LONGEST_LABEL = max(map(len, _LABELS))
_LABEL_BEGINNINGS = frozenset(label[:end] for label in _LABELS for end in range(1, len(label)))
_OPENING = re.compile(r"[<\[]")


class TemplateTokens:
    """Drops template marks from prose. Holds back what may become one, no more."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._held = ""
        self._ended = False
        self._said = False
        """Whether anything but whitespace has left."""
        self._struck = 0
        """`<s>` tags that were left in the text and are still open."""

    def push(self, span: Span) -> list[Span]:
        if self._ended:
            return []
        if span.kind != "prose":
            rest = self._read(self._held, last=True)
            self._said = True
            return [*_prose(rest), span]
        text, self._held = self._held + span.text, ""
        return _prose(self._read(text, last=False))

    def take(self, text: str, word: str) -> bool:
        return self._said and not self._held and not self._ended

    def finish(self, reason: FinishReason | None) -> list[Span]:
        text, self._held = self._held, ""
        return _prose(self._read(text, last=True))

    def _read(self, text: str, *, last: bool) -> str:
        self._held = ""
        out: list[str] = []
        at = 0
        while at < len(text) and not self._ended:
            if not self._said:
                skipped = self._label(text, at, last=last)
                if skipped < 0:
                    self._held = text[at:]
                    break
                if skipped:
                    at += skipped
                    continue
            opening = _OPENING.search(text, at)
            end = opening.start() if opening is not None else len(text)
            if not self._said:
                end = self._first_word(text, at, end)
            self._say(text[at:end], out)
            at = end
            if opening is None or end != opening.start():
                continue
            # As much as may be a beginning: the whole rest, at each bracket, would be its square.
            if not last and len(text) - at < _LONGEST_MARK and text[at:] in _BEGINNINGS:
                self._held = text[at:]
                break
            mark = _MARK.match(text, at)
            at += self._mark(mark.group(), out) if mark is not None else self._say(text[at], out)
        return "".join(out)

    def _first_word(self, text: str, at: int, end: int) -> int:
        """Where leading whitespace ends, so that a label behind it is seen."""
        stripped = text[at:end].lstrip()
        begin = end - len(stripped)
        return begin if begin > at else end

    def _label(self, text: str, at: int, *, last: bool) -> int:
        """Characters of a label at this place, or -1 when it may become one."""
        rest = text[at : at + _LONGEST_LABEL]
        if not last and rest in _LABEL_BEGINNINGS:
            return -1
        label = next((each for each in _LABELS if rest.startswith(each)), "")
        if label:
            self._tally.count("template_tokens")
        return len(label)

    def _mark(self, mark: str, out: list[str]) -> int:
        """Deal with one mark; its length."""
        if mark in _OTHERS_TURN:
            self._tally.count("template_tokens")
            if self._said:
                self._ended = True
                self._tally.end("next_turn")
        elif mark == "<s>" and self._said:
            self._struck += 1
            self._say(mark, out)
        elif mark == "</s>" and self._struck:
            self._struck -= 1
            self._say(mark, out)
        else:
            self._tally.count("template_tokens")
        return len(mark)

    def _say(self, text: str, out: list[str]) -> int:
        out.append(text)
        self._said = self._said or not (text == "" or text.isspace())
        return len(text)


def _prose(text: str) -> list[Span]:
    return [Span(text, "prose")] if text else []
