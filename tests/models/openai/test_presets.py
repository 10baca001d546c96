"""Presets: what each server is asked, and what is refused before it is."""

from pathlib import Path

import msgspec
import pytest

from headrace.errors import ConfigError, InvalidRequest
from headrace.models.openai import backend as backends
from headrace.models.openai.backend import CompatibleBackend, CompatibleSettings
from headrace.models.openai.errors import Site
from headrace.models.openai.preset import PRESETS
from headrace.models.openai.quirk import Quirks
from headrace.models.openai.wire import OpenAIWire
from headrace.types import FunctionCall, Message, ToolCall
from tests.models.openai.conftest import Serve
from tests.models.reading import ask, collect, text_of
from tests.upstreams.openai import FakeOpenAI
from tests.upstreams.server import Server

TOOL: dict[str, object] = {"type": "function", "function": {"name": "clock", "parameters": {}}}
NAMED: dict[str, object] = {"type": "function", "function": {"name": "clock"}}
SCHEMA: dict[str, object] = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}


def kind_of(name: str) -> type[CompatibleBackend]:
    kind = getattr(backends, name)
    assert isinstance(kind, type)
    assert issubclass(kind, CompatibleBackend)
    return kind


def sent(name: str, *messages: Message, **params: object) -> dict[str, object]:
    """The body that a preset sends."""
    preset = PRESETS[name]
    wire = OpenAIWire(Site(provider=preset.title, model="m"), preset.quirks)
    body = wire.generate(ask(*messages, **params)).body  # type: ignore[arg-type]
    return msgspec.json.decode(body, type=dict[str, object])


@pytest.mark.parametrize("name", PRESETS)
async def test_every_preset_is_a_backend_that_answers(
    upstream: Server, serve: Serve, name: str
) -> None:
    FakeOpenAI().mount(upstream)
    backend = await serve(kind_of(name))
    assert backend.provider == PRESETS[name].provider
    assert text_of(await collect(backend)) == "你好，水车! Hello"
    assert upstream.asked[0].headers["authorization"].startswith("Bearer sk-")


@pytest.mark.parametrize("name", [name for name, each in PRESETS.items() if each.key_variable])
def test_a_missing_key_names_its_variable(name: str, tmp_path: Path) -> None:
    kind = kind_of(name)
    settings = CompatibleSettings(model="m")
    with pytest.raises(ConfigError, match=PRESETS[name].key_variable) as refused:
        kind(settings, name="a", root=tmp_path, home=tmp_path)
    assert PRESETS[name].key_variable in refused.value.hint
    given = msgspec.structs.replace(settings, api_key="sk-1")
    made = kind(given, name="a", root=tmp_path, home=tmp_path)
    assert made.settings.base_url == PRESETS[name].base_url


def test_a_server_without_an_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`base_url` is missing"):
        CompatibleBackend(CompatibleSettings(model="m"), name="a", root=tmp_path, home=tmp_path)


def test_a_server_of_ones_own_needs_no_key(tmp_path: Path) -> None:
    kind_of("vllm")(CompatibleSettings(model="m"), name="a", root=tmp_path, home=tmp_path)
    behind_a_proxy = CompatibleSettings(model="m", base_url="http://localhost:1/v1")
    kind_of("deepseek")(behind_a_proxy, name="a", root=tmp_path, home=tmp_path)


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("groq", {"logprobs": True}, "logprobs"),
        ("groq", {"n": 2}, "n"),
        ("mistral", {"logit_bias": {"1": 5.0}}, "logit_bias"),
        ("cerebras", {"presence_penalty": 0.5}, "presence_penalty"),
        ("deepseek", {"response_format": SCHEMA}, "response_format"),
        ("zhipu", {"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ("lmstudio", {"tools": [TOOL], "tool_choice": NAMED}, "tool_choice"),
        ("openai", {"extra": {"modalities": ["text", "audio"]}}, "modalities"),
    ],
)
def test_what_a_server_has_not_is_refused_by_name(
    name: str, params: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sent(name, **params)
    assert refused.value.param == field
    assert PRESETS[name].title in refused.value.message


def test_what_asks_for_nothing_is_not_refused() -> None:
    body = sent("cerebras", n=1, presence_penalty=0.0, logit_bias={})
    assert body.keys() == {"model", "messages", "stream", "stream_options"}


@pytest.mark.parametrize("name", ["groq", "deepseek"])
def test_a_bare_prompt_or_vectors_are_refused_where_there_are_none(name: str) -> None:
    wire = OpenAIWire(Site(provider="x", model="m"), PRESETS[name].quirks)
    with pytest.raises(InvalidRequest, match="bare prompt"):
        wire.generate(ask(completion=True))
    with pytest.raises(InvalidRequest, match="no embeddings"):
        wire.embed(["a"], None)


def test_names_of_parameters_are_each_servers_own() -> None:
    mistral = sent("mistral", seed=3, max_tokens=5, tools=[TOOL], tool_choice="required")
    assert (mistral["random_seed"], mistral["max_tokens"], mistral["tool_choice"]) == (3, 5, "any")
    assert "stream_options" not in mistral
    assert sent("groq", max_tokens=5)["max_completion_tokens"] == 5
    assert "seed" not in sent("deepseek", seed=3)


def test_fields_that_promise_nothing_are_left_out_where_they_are_not_known() -> None:
    extra = {"store": True, "safe_prompt": True}
    assert sent("mistral", extra=extra).keys() >= {"safe_prompt"}
    assert "store" not in sent("mistral", extra=extra)


def test_messages_are_fitted_to_the_server() -> None:
    talk = [
        Message("developer", "Be brief."),
        Message("user", "Hi", name="Ada"),
        Message("system", "Be polite."),
        Message(
            "assistant",
            refusal="No.",
            reasoning_content="Hm.",
            tool_calls=[ToolCall("toolu_1__hra_eJyrVg", FunctionCall("clock", "{}"))],
        ),
        Message("tool", "12:00", tool_call_id="toolu_1__hra_eJyrVg"),
    ]
    vllm = sent("vllm", *talk)["messages"]
    assert isinstance(vllm, list)
    assert vllm[0] == {"role": "system", "content": "Be brief.\n\nBe polite."}
    assert [each["role"] for each in vllm] == ["system", "user", "assistant", "tool"]
    assert (vllm[2]["content"], vllm[2]["reasoning"]) == ("No.", "Hm.")
    assert vllm[2]["tool_calls"][0]["id"] == vllm[3]["tool_call_id"] == "toolu_1"
    mistral = sent("mistral", *talk)["messages"]
    assert isinstance(mistral, list)
    assert "name" not in mistral[1]
    assert "reasoning_content" not in mistral[3]
    assert len(mistral[3]["tool_calls"][0]["id"]) == 9
    assert mistral[3]["tool_calls"][0]["id"] == mistral[4]["tool_call_id"]
    deepseek = sent("deepseek", *talk)["messages"]
    assert isinstance(deepseek, list)
    assert deepseek[3]["reasoning_content"] == "Hm."


async def test_a_deployment_may_say_its_own_quirks_and_name(upstream: Server, serve: Serve) -> None:
    FakeOpenAI().mount(upstream)
    quirks = Quirks(max_tokens="max_completion_tokens", seed="random_seed")
    backend = await serve(kind_of("openai_compatible"), quirks=quirks, provider="acme")
    assert backend.provider == "acme"
    body = backend.wire.generate(ask(max_tokens=5, seed=1)).body
    assert msgspec.json.decode(body)["random_seed"] == 1


async def test_choices_that_count_for_themselves_are_added_up(
    upstream: Server, serve: Serve
) -> None:
    backend = await serve(kind_of("llama_cpp"))
    reader = backend.wire.reader(ask(n=2))
    usage = b'"usage":{"prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":6}}'
    for index in (b"0", b"1"):
        list(
            reader.feed(
                b'data: {"choices":[{"index":'
                + index
                + b',"delta":{},"finish_reason":"stop"}]}\n\n'
                b'data: {"choices":[],' + usage + b"}\n\n"
            )
        )
    (last,) = list(reader.end())
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.cached_tokens) == (
        10,
        8,
        6,
    )


def test_unknown_presets_are_no_attributes() -> None:
    with pytest.raises(AttributeError):
        getattr(backends, "nobody")  # noqa: B009 - the point is the lookup
