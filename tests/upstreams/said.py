"""What a fake of OpenAI's says in one choice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Said", "Tool"]


@dataclass(frozen=True)
class Tool:
    """A call of a function, its arguments in the fragments that they stream in."""

    id: str
    name: str
    fragments: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """One choice."""

    pieces: tuple[str, ...] = ("你好", "，", "水车", "! Hello", "")
    refusal: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    thoughts: tuple[str, ...] = ()
    """Only in responses: chats of OpenAI's do not tell."""
    finish_reason: str = "stop"

    def text(self) -> str:
        return "".join(self.pieces)

    def message(self) -> dict[str, object]:
        message: dict[str, object] = {
            "role": "assistant",
            "content": self.text() or None,
            "refusal": "".join(self.refusal) or None,
            "annotations": [],
        }
        if self.tools:
            message["tool_calls"] = [
                {
                    "id": tool.id,
                    "type": "function",
                    "function": {"name": tool.name, "arguments": "".join(tool.fragments)},
                }
                for tool in self.tools
            ]
        return message

    def logprobs(self) -> dict[str, object]:
        return {"content": [self.token(each) for each in self.pieces], "refusal": None}

    def token(self, text: str) -> dict[str, object]:
        top = [
            {"token": text, "logprob": -0.25, "bytes": list(text.encode())},
            {"token": " other", "logprob": -1.5, "bytes": list(b" other")},
        ]
        return {**top[0], "top_logprobs": top}

    def legacy_logprobs(self, texts: Sequence[str]) -> dict[str, object]:
        return {
            "tokens": list(texts),
            "token_logprobs": [-0.25] * len(texts),
            "top_logprobs": [{text: -0.25, " other": -1.5} for text in texts],
            "text_offset": [0] * len(texts),
        }

    def deltas(self, *, with_logprobs: bool) -> Iterator[dict[str, object]]:
        """The `delta` of each chunk, with the log probabilities beside it."""
        first: dict[str, object] = {"role": "assistant", "refusal": None}
        if not self.tools:
            first["content"] = ""
        yield {"delta": first}
        for text in self.pieces if not self.tools and not self.refusal else ():
            beside: dict[str, object] = {}
            if with_logprobs:
                beside["logprobs"] = {"content": [self.token(text)], "refusal": None}
            yield {"delta": {"content": text}, **beside}
        for text in self.refusal:
            yield {"delta": {"refusal": text}}
        for i, tool in enumerate(self.tools):
            begin = {
                "index": i,
                "id": tool.id,
                "type": "function",
                "function": {"name": tool.name, "arguments": ""},
            }
            yield {"delta": {"tool_calls": [begin]}}
            for fragment in tool.fragments:
                piece = {"index": i, "function": {"arguments": fragment}}
                yield {"delta": {"tool_calls": [piece]}}
