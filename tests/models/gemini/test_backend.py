"""The backend against an upstream that speaks Gemini's protocol, over real connections."""

import pytest

from headrace.errors import ModelUnavailable
from headrace.models.backend import Call, Embeddings, ListedModel
from headrace.models.errors import DeploymentMisconfigured, DeploymentThrottled
from headrace.models.gemini.backend import GeminiBackend, GeminiWire
from headrace.models.gemini.settings import GeminiSettings
from headrace.types import Choice, FunctionCall, Message, Params, ToolCall, Usage
from tests.upstreams.gathered import gathered
from tests.upstreams.gemini import GeminiUpstream, chunk, failure, streamed
from tests.upstreams.server import Answer, Cut, json_answer

USER = Message(role="user", content="Wetter in 北京?")
TOOL: dict[str, object] = {"type": "function", "function": {"name": "weather"}}


async def ask(
    backend: GeminiBackend, *messages: Message, stream: bool = True, params: Params | None = None
) -> tuple[Choice, Usage | None]:
    call = Call(messages or [USER], params or Params(), stream=stream)
    return gathered([delta async for delta in backend.generate(call)])


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_comes_through(
    backend: GeminiBackend, fake: GeminiUpstream, stream: bool
) -> None:
    choice, usage = await ask(backend, stream=stream)
    assert (choice.text, choice.finish_reason) == ("Hello!", "stop")
    assert usage == Usage(prompt_tokens=12, completion_tokens=6)
    verb = "streamGenerateContent" if stream else "generateContent"
    assert fake.server.asked[0].path == f"/v1/models/gemini-3.1-pro:{verb}"


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_conversation_with_signed_calls_goes_on(
    backend: GeminiBackend, fake: GeminiUpstream, stream: bool, ids: bool
) -> None:
    """What comes back to the upstream is what it gave, signature and all."""
    call: dict[str, object] = {"name": "weather", "args": {"city": "北京"}}
    calls_given = [{"id": f"fc_{i}", **call} if ids else call for i in (1, 2)]
    signed: dict[str, object] = {"functionCall": calls_given[0], "thoughtSignature": "c2ln"}
    fake.parts = [{"text": "One moment."}, signed, {"functionCall": calls_given[1]}]
    params = Params(tools=[TOOL])
    choice, _ = await ask(backend, stream=stream, params=params)
    given = fake.parts
    fake.parts = [{"text": "Sonnig."}]
    calls = [
        ToolCall(each.id, FunctionCall(each.function.name, each.function.arguments))
        for each in choice.tool_calls
    ]
    answered = Message(role="assistant", content=choice.text, tool_calls=calls)
    results = [Message(role="tool", tool_call_id=each.id, content="sunny") for each in calls]
    choice, _ = await ask(backend, USER, answered, *results, stream=stream, params=params)
    assert choice.text == "Sonnig."
    contents = fake.server.asked[1].json()["contents"]
    assert isinstance(contents, list)
    assert contents[1] == {"role": "model", "parts": given}


async def test_calls_of_another_model_are_accepted_too(
    backend: GeminiBackend, fake: GeminiUpstream
) -> None:
    calls = [ToolCall("call_abc", FunctionCall("weather", "{}"))]
    answered = Message(role="assistant", tool_calls=calls)
    given = Message(role="tool", tool_call_id="call_abc", content="sunny")
    choice, _ = await ask(backend, USER, answered, given, params=Params(tools=[TOOL]))
    assert choice.text == "Hello!"


async def test_a_wrong_key_says_so_and_is_not_shown(
    backend: GeminiBackend, fake: GeminiUpstream
) -> None:
    fake.server.script(failure(403, "PERMISSION_DENIED", "Your API key was reported as leaked."))
    with pytest.raises(DeploymentMisconfigured, match="leaked") as refused:
        await ask(backend)
    assert "AIza" not in refused.value.message + refused.value.hint


async def test_an_upstream_that_breaks_off_gives_no_whole_answer(
    backend: GeminiBackend, fake: GeminiUpstream
) -> None:
    first = fake.chunks()[0]
    overloaded = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    fake.server.script(
        Answer(200, [], [first, Cut()]),
        Answer(200, [], [first], framing="close"),
        streamed(first),
        streamed(first, chunk(overloaded)),
        json_answer([]),
    )
    for _ in range(4):
        text = ""
        with pytest.raises(ModelUnavailable):
            async for delta in backend.generate(Call([USER], Params())):
                text += delta.text
        assert text == "Hello"
    with pytest.raises(ModelUnavailable, match="unreadable"):
        await ask(backend, stream=False)


async def test_too_many_requests_say_when_to_come_back(
    backend: GeminiBackend, fake: GeminiUpstream
) -> None:
    retry: dict[str, object] = {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": "8s",
    }
    fake.server.script(failure(429, "RESOURCE_EXHAUSTED", "slow down", retry, listed=True))
    with pytest.raises(DeploymentThrottled) as throttled:
        await ask(backend)
    assert throttled.value.retry_after_s == 8.0


async def test_embeddings_keep_the_order_of_the_inputs(backend: GeminiBackend) -> None:
    embedded = await backend.embed(["a", "b", "c"])
    assert embedded == Embeddings([[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]], Usage())


async def test_tokens_are_counted_with_the_instructions(
    backend: GeminiBackend, fake: GeminiUpstream
) -> None:
    assert await backend.count_tokens([Message(role="system", content="Be brief."), USER]) == 31
    request = fake.server.asked[0].json()["generateContentRequest"]
    assert isinstance(request, dict)
    assert request["model"] == "models/gemini-3.1-pro"
    assert request["systemInstruction"] == {"parts": [{"text": "Be brief."}]}


async def test_the_list_says_limits(backend: GeminiBackend, fake: GeminiUpstream) -> None:
    fake.models = [
        {
            "name": "models/gemini-3.1-pro",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
        }
    ]
    assert await backend.listed() == [
        ListedModel(id="gemini-3.1-pro", context_tokens=1048576, output_tokens=65536)
    ]


def test_tuned_models_have_a_path_of_their_own() -> None:
    wire = GeminiWire(GeminiSettings(model="tunedModels/my model"))
    request = wire.generate(Call([USER], Params(), stream=False))
    assert request.path == "/tunedModels/my%20model:generateContent"
