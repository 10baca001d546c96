"""How a model reads: the chat template and the tokenizer, as they are where it is served.

For a GGUF file both are llama.cpp's own: its server is started on the very file and asked, so that
the tokens that are trained on are those that a request makes, by construction and for every
model. For a folder with safetensors they are those that transformers finds in it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from headrace.errors import HeadraceError
from headrace.models.backend import Call
from headrace.models.embedded.errors import error_of
from headrace.models.embedded.runtime import OwnRuntime
from headrace.models.embedded.settings import RuntimeSettings
from headrace.models.embedded.tools import described
from headrace.models.http import Address, HttpClient
from headrace.models.store import ModelStore
from headrace.training.base import Base
from headrace.training.errors import TrainingInvalid, TrainingUnavailable
from headrace.types import Message, Params

__all__ = ["Tongue", "TongueError", "open_tongue"]

_LEAST_CONTEXT = 256
_PROBE = "Headrace"
_MOST_TOKENS = 4
"""That one character is spread over."""


class TongueError(Exception):
    """The template cannot write these messages; says why."""


class Tongue(Protocol):
    """A model's chat template and tokenizer."""

    end: int
    """The token that ends an answer."""

    async def prompt(
        self, messages: Sequence[Message], tools: Sequence[dict[str, object]]
    ) -> list[int]:
        """The tokens that the model is given before it answers.

        Raises:
            TongueError: the template refuses these messages.
        """
        ...

    async def answer(self, before: Sequence[Message], message: Message) -> list[int]:
        """The tokens of an answer, its end included."""
        ...

    async def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each token, for people; of a character in several tokens, with the last."""
        ...


@asynccontextmanager
async def open_tongue(base: Base, home: Path, root: Path) -> AsyncIterator[Tongue]:
    """The base's template and tokenizer.

    Raises:
        ModelUnavailable: llama.cpp cannot load the file.
        TrainingUnavailable: a folder's tokenizer needs transformers, which is not installed.
    """
    if not base.is_gguf:
        yield _FolderTongue(base.path)
        return
    settings = RuntimeSettings(
        weights=f"file:{base.path}", sha256=base.sha256, context_tokens=_LEAST_CONTEXT, parallel=1
    )
    runtime = OwnRuntime(settings, ModelStore(home / "models", root=root))
    await runtime.start()
    client = HttpClient(Address(socket=runtime.socket))
    try:
        tongue = _RuntimeTongue(client)
        await tongue.learn()
        yield tongue
    finally:
        client.close()
        await runtime.stop()


class _Caps(msgspec.Struct):
    supports_tools: bool = False


class _Props(msgspec.Struct):
    chat_template_caps: _Caps = msgspec.field(default_factory=_Caps)
    eos_token: str = ""


class _Prompt(msgspec.Struct):
    prompt: str


class _Tokens(msgspec.Struct):
    tokens: list[int]


class _RuntimeTongue:
    """llama.cpp's own."""

    end: int

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._knows_tools = False
        # Its server answers several at a time; more than its threads would only wait there.
        self._gate = asyncio.Semaphore(8)

    async def learn(self) -> None:
        """Find out what ends an answer: what the template writes behind one."""
        props = msgspec.json.decode(await self._ask("GET", "/props"), type=_Props)
        self._knows_tools = props.chat_template_caps.supports_tools
        asked, said = Message(role="user", content=_PROBE), Message("assistant", content=_PROBE)
        before = await self._written([asked], ())
        after = await self._written([asked, said, asked], ())
        end: list[int] = []
        if after.startswith(before + _PROBE):
            end = await self._tokens(after[len(before + _PROBE) :], special=True)
        ends = await self._tokens(props.eos_token, special=True) if props.eos_token else []
        if not (end or ends):
            raise TrainingInvalid("the model's chat template does not say where an answer ends")
        self.end = ends[0] if len(ends) == 1 and ends[0] in end[:2] else (end or ends)[0]

    async def prompt(
        self, messages: Sequence[Message], tools: Sequence[dict[str, object]]
    ) -> list[int]:
        written = await self._written(messages, tools)
        return await self._tokens(written, special=True, add_special=True)

    async def answer(self, before: Sequence[Message], message: Message) -> list[int]:
        is_plain = not (message.tool_calls or message.reasoning_content)
        if is_plain or not self._knows_tools:
            text = self._in_words([message], ())[-1].text()
            # Whatever is written in it, it is text: `<|im_end|>` in an answer ends nothing.
            return [*await self._tokens(text, special=False), self.end]
        head = await self._written(before, ())
        whole = await self._written([*before, message, Message("user", content=_PROBE)], ())
        if not whole.startswith(head):
            raise TongueError("the chat template writes these messages otherwise when more follow")
        ids = await self._tokens(whole[len(head) :], special=True)
        if self.end not in ids:
            raise TongueError("the chat template does not say where this answer ends")
        return ids[: ids.index(self.end) + 1]

    async def pieces(self, ids: Sequence[int]) -> list[str]:
        texts: list[str] = []
        open_ids: list[int] = []
        for each in ids:
            # A character may be spread over several tokens: it is shown with the last of them.
            open_ids.append(each)
            data = await self._ask("POST", "/detokenize", {"tokens": open_ids})
            text = msgspec.json.decode(data, type=_Content).content
            is_whole = "\ufffd" not in text or len(open_ids) == _MOST_TOKENS
            texts.append(text if is_whole else "")
            if is_whole:
                open_ids = []
        return texts

    def _in_words(
        self, messages: Sequence[Message], tools: Sequence[dict[str, object]]
    ) -> Sequence[Message]:
        """As the backend sends them: with tools in words where the template knows none."""
        if self._knows_tools:
            return messages
        return described(Call(messages, Params(tools=list(tools) or None))).messages

    async def _written(
        self, messages: Sequence[Message], tools: Sequence[dict[str, object]]
    ) -> str:
        body: dict[str, object] = {"messages": self._in_words(messages, tools)}
        if tools and self._knows_tools:
            body["tools"] = tools
        return msgspec.json.decode(
            await self._ask("POST", "/apply-template", body), type=_Prompt
        ).prompt

    async def _tokens(self, text: str, *, special: bool, add_special: bool = False) -> list[int]:
        body = {"content": text, "add_special": add_special, "parse_special": special}
        data = await self._ask("POST", "/tokenize", body)
        return msgspec.json.decode(data, type=_Tokens).tokens

    async def _ask(self, method: str, path: str, body: object = None) -> bytes:
        sent = msgspec.json.encode(body) if body is not None else b""
        async with self._gate, self._client.request(method, path, sent) as reply:
            data = await reply.read()
            if reply.status != 200:
                error: HeadraceError = error_of(reply.status, data, "base")
                raise TongueError(error.message)
            return data


class _Content(msgspec.Struct):
    content: str


class _FolderTongue:
    """What transformers finds in a folder."""

    def __init__(self, folder: Path) -> None:
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise TrainingUnavailable(
                "reading a folder's tokenizer needs transformers",
                hint="pip install 'headrace[train]'",
            ) from error
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise TrainingInvalid(
                f"{folder} has no tokenizer that transformers can read",
                hint="put the model's tokenizer.json and tokenizer_config.json beside its weights",
            ) from error
        self._has_template = bool(self._tokenizer.chat_template)
        if self._tokenizer.eos_token_id is None:
            raise TrainingInvalid(f"{folder}: the tokenizer does not say what ends an answer")
        self.end: int = self._tokenizer.eos_token_id

    async def prompt(
        self, messages: Sequence[Message], tools: Sequence[dict[str, object]]
    ) -> list[int]:
        if not self._has_template:
            if [each.role for each in messages] != ["user"]:
                raise TongueError("the model has no chat template, so only prompt and completion")
            return self._ids(messages[0].text(), add_special=True)
        try:
            text = self._tokenizer.apply_chat_template(
                msgspec.to_builtins(messages),
                tools=list(tools) or None,
                tokenize=False,
                add_generation_prompt=True,
            )
        # A template is a program of the model's maker: it may raise anything.
        except Exception as error:
            raise TongueError(f"the chat template refuses these messages: {error}") from error
        return self._ids(str(text))

    async def answer(self, before: Sequence[Message], message: Message) -> list[int]:
        if message.tool_calls or message.reasoning_content:
            raise TongueError("tool calls are learned from GGUF bases only")
        return [*self._ids(message.text()), self.end]

    async def pieces(self, ids: Sequence[int]) -> list[str]:
        return [str(self._tokenizer.decode([each])) for each in ids]

    def _ids(self, text: str, *, add_special: bool = False) -> list[int]:
        found = self._tokenizer(text, add_special_tokens=add_special)["input_ids"]
        return [int(each) for each in found]
