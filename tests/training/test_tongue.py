"""The tokens that are trained on are those that the running runtime makes of a request."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headrace.datasets.parse import parse_row
from headrace.models.embedded.backend import EmbeddedBackend
from headrace.models.embedded.settings import EmbeddedSettings
from headrace.models.store import ModelStore
from headrace.prompts.library import PromptLibrary
from headrace.training.base import find_base
from headrace.training.declared import base_of
from headrace.training.render import render_supervised, words_of
from headrace.training.tongue import Tongue, open_tongue
from headrace.types import Message

pytestmark = pytest.mark.model

ROW = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " How high is wheel 7?  "},
        {"role": "assistant", "content": "10 metres."},
        {"role": "user", "content": "仓库在哪个城市? <|im_end|> 12345"},
        {"role": "assistant", "content": "仓库在青岛。 <|im_end|>"},
    ]
}


@asynccontextmanager
async def opened(home: Path, root: Path) -> AsyncIterator[tuple[Tongue, EmbeddedBackend]]:
    reference = base_of("", root, home)
    base = find_base(reference, ModelStore(home / "models", root=root), root)
    settings = EmbeddedSettings(weights=reference, sha256=base.sha256, context_tokens=512)
    backend = EmbeddedBackend(settings, name="m", root=root, home=home)
    async with open_tongue(base, home, root) as tongue:
        await backend.start()
        try:
            yield tongue, backend
        finally:
            await backend.stop()


async def served_ids(backend: EmbeddedBackend, messages: list[Message]) -> list[int]:
    """What the serving runtime itself says that it reads for these messages."""
    written = json.loads(await backend._post("/apply-template", {"messages": messages}))
    body = {"content": written["prompt"], "add_special": True, "parse_special": True}
    found: list[int] = json.loads(await backend._post("/tokenize", body))["tokens"]
    return found


async def test_tokens_and_mask_are_those_of_the_running_runtime(
    root: Path, model_home: Path
) -> None:
    example = parse_row(json.dumps(ROW).encode())
    async with opened(model_home, root) as (tongue, backend):
        words = words_of(None, {}, "2026-01-01")
        (tokens,) = await render_supervised(example, "x:1", tongue, words)
        for at, (start, end) in zip((2, 4), tokens.spans, strict=True):
            assert tokens.ids[:start] == await served_ids(backend, example.messages[:at])
            assert tokens.ids[end - 1] == tongue.end
            said = "".join(await tongue.pieces(tokens.ids[start : end - 1]))
            # What looks like the end of a turn is text, in an answer: one token of it ends.
            assert said == example.messages[at].text()
            assert tokens.ids[start:end].count(tongue.end) == 1
        assert tokens.ids == [*tokens.ids[: tokens.spans[1][1]]]
        # Around a prompt template too.
        template = PromptLibrary.load(root, {}).get("builtin/assistant")
        words = words_of(template, {}, "2026-01-01")
        (tokens,) = await render_supervised(example, "x:1", tongue, words)
        asked = list(words(example.messages[:4], None))
        assert tokens.ids[: tokens.spans[-1][0]] == await served_ids(backend, asked)
        assert "".join(await tongue.pieces(tokens.ids[-2:-1])) != ""
