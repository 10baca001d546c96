"""Model and provider names, and what the same model is called elsewhere.

Providers add dates (`-2025-08-07`, `-20250929`, `@20250929`), channels (`-latest`), versions
(`-v1:0`) and regions (`eu.`), hubs add owners and quantisations. Not covered: names that an
operator made up (Azure deployments, `--served-model-name`); write those as aliases.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

__all__ = ["names_of", "provider_named"]

_PROVIDERS: Final = {
    # Backends, presets and OpenTelemetry's `gen_ai.provider.name`, where they differ from ours.
    "aws.bedrock": "bedrock",
    "aws_bedrock": "bedrock",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure_openai": "azure",
    "openai_responses": "openai",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "vertex": "google",
    "mistral_ai": "mistral",
    "alibaba": "qwen",
    "dashscope": "qwen",
    "bigmodel": "zhipu",
    "z_ai": "zhipu",
    "zai": "zhipu",
    "zhipuai": "zhipu",
    "kimi": "moonshot",
    "moonshot_ai": "moonshot",
    "moonshotai": "moonshot",
    "together_ai": "together",
    "togetherai": "together",
}
_DATE = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8})$")
_VERSION = re.compile(r"-v\d+(?::\d+)?$|:\d+$")
_CHANNEL = re.compile(r"-(?:latest|\d{3,4})$")
_REGION = re.compile(r"^(?:eu|us|us-gov|apac|jp|au|ca|global)\.(?=[a-z])")
_BUILD = re.compile(
    r"(?:[-_.](?:gguf|safetensors|awq|gptq|mlx|bf16|fp16|fp8|int[48]|i?q\d[_\w]*|f16|f32))+$"
)


def provider_named(name: str) -> str:
    """Our id of a provider, from a backend's, a preset's or OpenTelemetry's name for it."""
    lower = name.strip().lower().replace("-", "_")
    return _PROVIDERS.get(lower, lower)


def names_of(model: str) -> Iterator[str]:
    """What to look a model up by, the most exact first; each once, in lower case."""
    seen: set[str] = set()
    whole = model.strip().lower()
    whole = whole.removeprefix("models/").removeprefix("publishers/")
    for start in (whole, PurePosixPath(whole).name):
        for name in _shorter(start):
            if name and name not in seen:
                seen.add(name)
                yield name


def _shorter(name: str) -> Iterator[str]:
    yield name
    name = _REGION.sub("", name)
    yield name
    for pattern in (_BUILD, _VERSION, _DATE, _BUILD, _CHANNEL):
        name = pattern.sub("", name)
        yield name
