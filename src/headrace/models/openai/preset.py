"""Servers that speak OpenAI's protocol: where they are, which key they want, how they differ.

Data alone. Addresses, keys and differences are those of each server's own pages (`page`) as of
November 2026; every one of them can be overridden in a deployment's settings.
"""

from typing import Literal

import msgspec

from headrace.models.openai.quirk import Quirks

__all__ = ["PRESETS", "Preset"]


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """One server or provider. Its name in the table is what `backend:` says."""

    title: str
    """As people call it."""
    provider: str
    """`gen_ai.provider.name`: OpenTelemetry's spelling where it has one, else the name itself."""
    base_url: str = ""
    """Empty: every deployment says its own."""
    key_variable: str = ""
    """The environment variable that its own pages use for the key; empty: it needs none."""
    api: Literal["chat", "responses"] = "chat"
    """Which of OpenAI's two protocols it is asked in, unless a deployment says otherwise."""
    quirks: Quirks = Quirks()
    loads_adapters: bool = False
    """Whether it can be told to load LoRA adapters while it runs, as vLLM can."""
    page: str = ""
    """Where this is documented."""


_OWN = Quirks(system_messages="one")
"""Of servers that run open weights: most chat templates take one system message, at the front."""

PRESETS: dict[str, Preset] = {
    "openai": Preset(
        title="OpenAI",
        provider="openai",
        base_url="https://api.openai.com/v1",
        key_variable="OPENAI_API_KEY",
        quirks=Quirks(max_tokens="max_completion_tokens", developer_role=True),
        page="https://platform.openai.com/docs/api-reference",
    ),
    "openai_compatible": Preset(title="the OpenAI-compatible server", provider="openai_compatible"),
    "vllm": Preset(
        title="vLLM",
        provider="vllm",
        base_url="http://localhost:8000/v1",
        loads_adapters=True,
        quirks=msgspec.structs.replace(_OWN, thoughts_back="reasoning"),
        page="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    ),
    "sglang": Preset(
        title="SGLang",
        provider="sglang",
        base_url="http://localhost:30000/v1",
        quirks=msgspec.structs.replace(_OWN, thoughts_back="reasoning_content"),
        page="https://docs.sglang.ai/basic_usage/openai_api.html",
    ),
    "llama_cpp": Preset(
        title="llama.cpp's server",
        provider="llama_cpp",
        base_url="http://localhost:8080/v1",
        quirks=msgspec.structs.replace(
            _OWN, thoughts_back="reasoning_content", usage_per_choice=True
        ),
        page="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    ),
    "ollama": Preset(
        title="Ollama",
        provider="ollama",
        base_url="http://localhost:11434/v1",
        quirks=Quirks(thoughts_back="reasoning", unsupported=("logit_bias", "n")),
        page="https://docs.ollama.com/api/openai-compatibility",
    ),
    "lmstudio": Preset(
        title="LM Studio",
        provider="lmstudio",
        base_url="http://localhost:1234/v1",
        quirks=msgspec.structs.replace(
            _OWN, named_tool=False, unsupported=("n", "logprobs", "top_logprobs")
        ),
        page="https://lmstudio.ai/docs/developer/openai-compat",
    ),
    "deepseek": Preset(
        title="DeepSeek",
        provider="deepseek",
        base_url="https://api.deepseek.com",
        key_variable="DEEPSEEK_API_KEY",
        quirks=Quirks(
            seed="",
            json_schema=False,
            thoughts_back="reasoning_content",
            unsupported=("n", "logit_bias"),
            completions=False,
            embeddings=False,
        ),
        page="https://api-docs.deepseek.com/api/create-chat-completion",
    ),
    "mistral": Preset(
        title="Mistral",
        provider="mistral_ai",
        base_url="https://api.mistral.ai/v1",
        key_variable="MISTRAL_API_KEY",
        quirks=Quirks(
            seed="random_seed",
            required_tool="any",
            stream_usage=False,
            message_names=False,
            tool_call_id_chars=9,
            unsupported=("logit_bias", "logprobs", "top_logprobs"),
            left_out=("user", "store", "service_tier", "safety_identifier"),
            completions=False,
        ),
        page="https://docs.mistral.ai/api/endpoint/chat",
    ),
    "groq": Preset(
        title="Groq",
        provider="groq",
        base_url="https://api.groq.com/openai/v1",
        key_variable="GROQ_API_KEY",
        quirks=Quirks(
            max_tokens="max_completion_tokens",
            message_names=False,
            thoughts_back="reasoning",
            unsupported=("logprobs", "top_logprobs", "logit_bias", "n"),
            completions=False,
            embeddings=False,
        ),
        page="https://console.groq.com/docs/openai",
    ),
    "together": Preset(
        title="Together AI",
        provider="together",
        base_url="https://api.together.ai/v1",
        key_variable="TOGETHER_API_KEY",
        quirks=Quirks(thoughts_back="reasoning"),
        page="https://docs.together.ai/docs/inference/openai-compatibility",
    ),
    "fireworks": Preset(
        title="Fireworks AI",
        provider="fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        key_variable="FIREWORKS_API_KEY",
        quirks=Quirks(thoughts_back="reasoning_content"),
        page="https://docs.fireworks.ai/tools-sdks/openai-compatibility",
    ),
    "openrouter": Preset(
        title="OpenRouter",
        provider="openrouter",
        base_url="https://openrouter.ai/api/v1",
        key_variable="OPENROUTER_API_KEY",
        quirks=Quirks(thoughts_back="reasoning", unsupported=("n",), cache_marks=True),
        page="https://openrouter.ai/docs/api-reference/overview",
    ),
    "xai": Preset(
        title="xAI",
        provider="x_ai",
        base_url="https://api.x.ai/v1",
        key_variable="XAI_API_KEY",
        quirks=Quirks(
            max_tokens="max_completion_tokens",
            thoughts_back="reasoning_content",
            unsupported=("logit_bias",),
            completions=False,
        ),
        page="https://docs.x.ai/docs/api-reference",
    ),
    "cerebras": Preset(
        title="Cerebras",
        provider="cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_variable="CEREBRAS_API_KEY",
        quirks=Quirks(
            max_tokens="max_completion_tokens",
            thoughts_back="reasoning",
            unsupported=("frequency_penalty", "presence_penalty", "logit_bias", "n"),
            embeddings=False,
        ),
        page="https://inference-docs.cerebras.ai/resources/openai",
    ),
    "perplexity": Preset(
        title="Perplexity",
        provider="perplexity",
        base_url="https://api.perplexity.ai/v1",
        key_variable="PERPLEXITY_API_KEY",
        api="responses",
        quirks=Quirks(
            completions=False, left_out=("store", "user", "safety_identifier"), embeddings=False
        ),
        page="https://docs.perplexity.ai/docs/agent-api/migrate-from-sonar/overview",
    ),
    "qwen": Preset(
        title="Qwen (Alibaba Cloud Model Studio)",
        provider="qwen",
        base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
        key_variable="DASHSCOPE_API_KEY",
        quirks=Quirks(
            required_tool="",
            thoughts_back="reasoning_content",
            unsupported=("logit_bias",),
        ),
        page="https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
    ),
    "zhipu": Preset(
        title="Zhipu (BigModel)",
        provider="zhipu",
        base_url="https://open.bigmodel.cn/api/paas/v4",
        key_variable="ZHIPUAI_API_KEY",
        quirks=Quirks(
            seed="",
            required_tool="",
            named_tool=False,
            json_schema=False,
            stream_usage=False,
            thoughts_back="reasoning_content",
            unsupported=(
                "n",
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "presence_penalty",
                "frequency_penalty",
            ),
            completions=False,
            models=False,
        ),
        page="https://docs.bigmodel.cn/api-reference",
    ),
    "moonshot": Preset(
        title="Moonshot (Kimi)",
        provider="moonshot",
        base_url="https://api.moonshot.ai/v1",
        key_variable="MOONSHOT_API_KEY",
        quirks=Quirks(
            max_tokens="max_completion_tokens",
            seed="",
            required_tool="",
            named_tool=False,
            thoughts_back="reasoning_content",
            unsupported=("logit_bias", "logprobs", "top_logprobs"),
            completions=False,
            embeddings=False,
        ),
        page="https://platform.kimi.ai/docs/api/quickstart",
    ),
}
"""By the name that `backend:` says."""
