"""Which tokens are learned, with a template that is easy to read."""

from collections.abc import Sequence

from headrace.datasets.example import Example
from headrace.training.render import render_pair, render_supervised, words_of
from headrace.types import Message

WORDS = words_of(None, {}, "2026-01-01")


class Spoken:
    """A tongue of letters: `u:…|` and `a:…|`; `forgets` leaves earlier answers out."""

    end = ord("|")

    def __init__(self, *, forgets: bool = False) -> None:
        self._forgets = forgets

    async def prompt(
        self, messages: Sequence[Message], tools: Sequence[dict[str, object]]
    ) -> list[int]:
        text = "".join(
            f"{each.role[0]}:{'' if self._forgets and each.role == 'assistant' else each.text()}|"
            for each in messages
        )
        return [*map(ord, text + "a:")]

    async def answer(self, before: Sequence[Message], message: Message) -> list[int]:
        return [*map(ord, message.text()), self.end]

    async def pieces(self, ids: Sequence[int]) -> list[str]:
        return [*map(chr, ids)]


def chat(*said: str, untrained: Sequence[int] = ()) -> Example:
    messages = [
        Message("user" if at % 2 == 0 else "assistant", content=text)
        for at, text in enumerate(said)
    ]
    return Example(kind="chat", messages=messages, untrained=list(untrained))


async def learned(example: Example, tongue: Spoken) -> list[tuple[str, list[str]]]:
    found = await render_supervised(example, "x:1", tongue, WORDS)
    texts = []
    for each in found:
        text = "".join(map(chr, each.ids))
        texts.append((text, [text[start:end] for start, end in each.spans]))
    return texts


async def test_answers_of_a_conversation_share_a_sequence() -> None:
    assert await learned(chat("1+1?", "2", "+1?", "3"), Spoken()) == [
        ("u:1+1?|a:2|u:+1?|a:3|", ["2|", "3|"])
    ]


async def test_a_template_that_forgets_gets_a_sequence_an_answer() -> None:
    assert await learned(chat("1+1?", "2", "+1?", "3"), Spoken(forgets=True)) == [
        ("u:1+1?|a:2|", ["2|"]),
        ("u:1+1?|a:|u:+1?|a:3|", ["3|"]),
    ]


async def test_an_answer_of_no_weight_is_read_and_not_learned() -> None:
    assert await learned(chat("1+1?", "5", "No.", "2", untrained=[1]), Spoken()) == [
        ("u:1+1?|a:5|u:No.|a:2|", ["2|"])
    ]


async def test_both_answers_of_a_preference_follow_the_question() -> None:
    example = Example(
        kind="preference",
        messages=[Message("user", content="Hi")],
        chosen=[Message("assistant", content="Hello")],
        rejected=[Message("assistant", content="What")],
    )
    pair = await render_pair(example, "x:1", Spoken(), WORDS)
    assert "".join(map(chr, pair.chosen.ids)) == "u:Hi|a:Hello|"
    assert "".join(map(chr, pair.rejected.ids)) == "u:Hi|a:What|"
    assert pair.chosen.spans == [(7, 13)]
