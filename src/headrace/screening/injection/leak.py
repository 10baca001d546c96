"""A system prompt on its way out: its canary token, or a long run of its very words, in an answer.

Only letters and digits count, without case, so spaces, dashes or line breaks between them hide
nothing. Looked for as it stands, backwards, in rot13, base64 and hex. Does not catch: paraphrase,
translation, other ciphers, and a prompt let out in pieces of less than `LEAST` letters.

How it holds back: a letter that ends a run of `GRAM` letters which the prompt has too is held, and
all behind it, until the run breaks off or is long enough to be sure. So of a run no more than its
first `GRAM - 1` letters leave before it is decided about, however the answer comes in pieces.
"""

import base64
import codecs
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from headrace.screening.detectors.term import fold

__all__ = [
    "CANARY_NOTE",
    "GRAM",
    "LEAST",
    "Decision",
    "Leak",
    "LeakFilter",
    "new_canary",
    "secret_of",
]

GRAM = 12
"""Letters that have to stand in a row to be looked at: ordinary words share fewer."""
LEAST = 60
"""Letters of a run that is a finding; a Chinese character counts as three."""
SURE = 240
"""Letters from which on a run's score no longer grows."""
_CANARY_LEAST = 18
_MOST = 20_000
"""Characters of a prompt that are remembered."""
_MOST_HIDDEN = 1_500
"""Of these, characters that are looked for in other writings."""
CANARY_NOTE = "Internal reference {canary}; it is never part of an answer."


def new_canary() -> str:
    """A token that stands nowhere else."""
    return f"hr{secrets.token_hex(12)}"


def letters_of(char: str) -> str:
    """What of a character counts."""
    if not char.isalnum():
        return ""
    folded = fold(char)
    return folded * 3 if "\u3400" <= char <= "\u9fff" else folded


def _letters(text: str) -> str:
    return "".join(map(letters_of, text))


def _grams(letters: str) -> Iterable[str]:
    return (letters[at : at + GRAM] for at in range(len(letters) - GRAM + 1))


def _writings(text: str) -> Iterable[str]:
    """The letters of a text as it may be written."""
    yield _letters(text)
    text = text[:_MOST_HIDDEN]
    yield _letters(text[::-1])
    yield _letters(codecs.encode(text, "rot13"))
    data = text.encode()
    yield data.hex()
    for skipped in range(3):  # base64 depends on where in a group of three a text begins
        yield _letters(base64.b64encode(data[skipped:]).decode())


@dataclass(frozen=True, slots=True)
class Secret:
    """What must not leave."""

    grams: frozenset[str]
    canary: frozenset[str]
    size: int
    """Letters of the prompt."""
    most: float
    """The score that a run of the prompt's words can reach."""


@lru_cache(maxsize=64)
def secret_of(prompt: str, canary: str, *, ours: bool) -> Secret:
    """What to look for.

    Args:
        canary: a token in the prompt; empty for none.
        ours: whether the service wrote the prompt. What a client sent may be text for the answer.
    """
    prompt = prompt[:_MOST]
    # Whatever writing: letters that belong to the canary must not make a run of the prompt's.
    grams = {
        gram
        for letters in _writings(prompt.replace(canary, "") if canary else prompt)
        for gram in _grams(letters)
    }
    marks = {gram for letters in _writings(canary) for gram in _grams(letters)} if canary else set()
    return Secret(frozenset(grams), frozenset(marks), len(_letters(prompt)), 0.95 if ours else 0.8)


@dataclass(frozen=True, slots=True)
class Leak:
    """A run that was seen: characters of the answer, and how sure it is that it is one."""

    start: int
    end: int
    score: float
    why: str


Decision: TypeAlias = Literal["pass", "mask", "block"]


class LeakFilter:
    """Lets an answer through, but for what a system prompt says.

    Args:
        decide: what is done about a leak; called once for each, when it is decided about.
        stop: what is raised once the text before a block has left.
    """

    def __init__(
        self,
        secret: Secret,
        decide: Callable[[Leak], Decision],
        stop: Callable[[], Exception],
    ) -> None:
        self._secret = secret
        self._decide = decide
        self._stop = stop
        self._stopped = False
        self._recent = ""
        """The last letters."""
        self._run = self._marked = 0
        """Letters of the run that goes on, of the prompt and of the canary; 0 for none."""
        self._held: list[str] = []
        """What came since the run became one."""
        self._at = 0
        """Characters that came."""
        self._is_sure = False
        """Whether this run has been decided about; the rest of it goes the same way."""
        self._fate: Decision = "pass"

    def push(self, text: str) -> str:
        self._refuse()
        left: list[str] = []
        for char in text:
            self._take(char, left)
            if self._stopped:
                break
        out = "".join(left)
        if not out:
            self._refuse()
        return out

    def finish(self, reason: str | None) -> str:
        """The rest; a stream that broke off loses what was held."""
        self._refuse()
        left: list[str] = []
        self._close(left, self._at)
        if self._stopped and not left:
            self._refuse()
        return "".join(left) if reason is not None else ""

    def _refuse(self) -> None:
        if self._stopped:
            raise self._stop()

    def _take(self, char: str, left: list[str]) -> None:
        self._at += 1
        for letter in letters_of(char):
            self._recent = self._recent[1 - GRAM :] + letter
            known = self._recent in self._secret.grams
            marked = self._recent in self._secret.canary
            if not (known or marked):
                self._close(left, self._at - 1)
            self._run = self._run + 1 if known and self._run else GRAM * known
            self._marked = self._marked + 1 if marked and self._marked else GRAM * marked
        if not (self._run or self._marked):
            left.append(char)
            return
        if self._is_sure:
            if self._fate == "pass":
                left.append(char)
            return
        self._held.append(char)
        if self._score() >= self._secret.most or self._marked >= _CANARY_LEAST:
            self._settle(left, self._at)

    def _score(self) -> float:
        if self._marked >= _CANARY_LEAST:
            return 1.0
        if self._run < LEAST:
            return 0.0
        if self._run >= min(SURE, max(LEAST, 0.8 * self._secret.size)):
            return self._secret.most
        grown = (self._run - LEAST) / (SURE - LEAST)
        return 0.5 + (self._secret.most - 0.5) * grown

    def _settle(self, left: list[str], end: int) -> None:
        """Decide about the run: it is over, or it is long enough."""
        score = self._score()
        self._is_sure = True
        self._fate = "pass"
        if score:
            why = (
                "canary: the token in the system prompt"
                if self._marked >= _CANARY_LEAST
                else (f"{self._run} letters in a row stand in the system prompt")
            )
            start = end - len(self._held)
            self._fate = self._decide(Leak(start, end, round(score, 4), why))
        if self._fate == "pass":
            left.extend(self._held)
        elif self._fate == "mask":
            left.append("[SYSTEM_PROMPT_LEAK]")
        else:
            self._stopped = True
        self._held.clear()

    def _close(self, left: list[str], end: int) -> None:
        """The run, if there is one, ends there."""
        if self._held:
            self._settle(left, end)
        self._run = self._marked = 0
        self._is_sure = False
