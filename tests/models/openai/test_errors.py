"""What error responses mean: in each server's own words, byte for byte, through a connection."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import (
    ContextTooLong,
    HeadraceError,
    InvalidRequest,
    ModelUnavailable,
    PayloadTooLarge,
    PolicyBlocked,
)
from headrace.models.errors import (
    DeploymentMisconfigured,
    DeploymentThrottled,
    DeploymentTimeout,
)
from headrace.models.openai.context import context_error
from headrace.models.openai.errors import Site
from headrace.models.openai.quirk import Quirks
from headrace.models.openai.wire import OpenAIWire
from tests.models.openai.conftest import Serve
from tests.models.reading import ask, collect
from tests.upstreams.openai import KEY, FakeOpenAI, error_answer
from tests.upstreams.server import Answer, Server, json_answer


async def failed(upstream: Server, serve: Serve, answer: Answer) -> HeadraceError:
    upstream.script(answer)
    with pytest.raises(HeadraceError) as caught:
        await collect(await serve())
    assert KEY not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


async def test_a_wrong_key_is_never_shown(upstream: Server, serve: Serve) -> None:
    FakeOpenAI().mount(upstream)
    backend = await serve(api_key="sk-wrong-key-0123")
    with pytest.raises(DeploymentMisconfigured, match="does not accept the key") as refused:
        await collect(backend)
    assert "sk-wrong" not in refused.value.message
    assert "OPENAI_API_KEY" in refused.value.hint


async def test_an_unknown_model_is_a_matter_of_settings(upstream: Server, serve: Serve) -> None:
    FakeOpenAI().mount(upstream)
    with pytest.raises(DeploymentMisconfigured, match="no model 'gpt-99'") as refused:
        await collect(await serve(model="gpt-99"))
    assert "`model`" in refused.value.hint


async def test_a_field_that_is_not_known_is_named(upstream: Server, serve: Serve) -> None:
    FakeOpenAI().mount(upstream)
    with pytest.raises(InvalidRequest, match="Unrecognized") as refused:
        await collect(await serve(), ask(extra={"top_k": 5}))
    assert refused.value.param == "top_k"


RATE = "Rate limit reached for gpt-4.1 on tokens per min (TPM): Limit 10000, Used 8782, Requested 8172. Please try again in 41.724s."


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ([("retry-after", "7")], RATE, 7.0),
        ([("retry-after-ms", "250"), ("retry-after", "1")], RATE, 0.25),
        ([], RATE, 41.724),
        ([], "Please try again in 20ms.", 0.02),
        ([], "Please retry after 6 seconds.", 6.0),
        (
            [
                ("x-ratelimit-remaining-requests", "10"),
                ("x-ratelimit-reset-requests", "1h"),
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "1m30s"),
            ],
            "slow down",
            90.0,
        ),
        ([], "slow down", None),
    ],
    ids=["header", "milliseconds", "message", "ms", "Azure", "limits", "nothing"],
)
async def test_too_many_requests_say_when_to_come_back(
    upstream: Server,
    serve: Serve,
    headers: list[tuple[str, str]],
    message: str,
    seconds: float | None,
) -> None:
    answer = error_answer(429, message, "tokens", "rate_limit_exceeded", headers=headers)
    error = await failed(upstream, serve, answer)
    assert isinstance(error, DeploymentThrottled)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize(
    "error",
    [
        {
            "message": "You exceeded your current quota, please check your plan and billing.",
            "type": "insufficient_quota",
            "param": None,
            "code": "insufficient_quota",
        },
        {"message": "suspended", "type": "exceeded_current_quota_error"},
        {"message": "余额不足或无可用资源包,请充值。", "code": "1113"},
    ],
    ids=["OpenAI", "Moonshot", "Zhipu"],
)
async def test_a_used_up_account_is_no_matter_of_patience(
    upstream: Server, serve: Serve, error: dict[str, object]
) -> None:
    refused = await failed(upstream, serve, json_answer({"error": error}, 429))
    assert isinstance(refused, DeploymentMisconfigured)
    assert "paid" in refused.message


PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>\r\n"


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "words"),
    [
        (502, [("content-type", "text/html")], PAGE, ModelUnavailable, "502 Bad Gateway"),
        (500, [], b"", ModelUnavailable, "status 500"),
        (503, [], b'{"error":{"message":"Overloaded","type":"server_error"}}', ModelUnavailable, "Overloaded"),
        (503, [("retry-after", "3")], b"", DeploymentThrottled, "no room"),
        (429, [], b'{"error":{"message":"busy","type":"engine_overloaded_error"}}', DeploymentThrottled, "busy"),
        (529, [], b"", DeploymentThrottled, "no room"),
        (498, [], b'{"error":{"message":"flex capacity"}}', DeploymentThrottled, "flex"),
        (424, [], b'{"error":"Generation error","error_type":"generation"}', ModelUnavailable, "424"),
        (400, [], b'{"error":{"message":"Failed to call a function.","code":"tool_use_failed"}}', ModelUnavailable, "Failed to call"),
        (403, [], b'{"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence"],"flagged_input":"my secret"}}}', PolicyBlocked, "(violence)"),
        (400, [], b'{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\\"error\\":{\\"message\\":\\"odd schema\\"}}"}}}', InvalidRequest, "odd schema"),
        (504, [], b"", DeploymentTimeout, "gave up"),
        (408, [], b"", DeploymentTimeout, "gave up"),
        (524, [], PAGE, DeploymentTimeout, "gave up"),
        (402, [], b'{"error":{"message":"Insufficient Balance"}}', DeploymentMisconfigured, "paid"),
        (403, [], b'{"error":{"message":"Country not supported","code":"unsupported_country_region_territory"}}', DeploymentMisconfigured, "Country"),
        (413, [], b"", PayloadTooLarge, "too large"),
        (307, [("location", "https://elsewhere")], b"", DeploymentMisconfigured, "redirect"),
        (404, [], b'{"detail":"Not Found"}', DeploymentMisconfigured, "at this address"),
        (401, [], b'{"message":"Unauthorized","request_id":"a"}', DeploymentMisconfigured, "key"),
        (401, [], PAGE, DeploymentMisconfigured, "key"),
        (400, [], b'{"code":"Client specified an invalid argument","error":"Bad grok."}', InvalidRequest, "Bad grok"),
        (400, [], b'{"message":"bad","type":"invalid_request_error","param":"n","code":"x"}', InvalidRequest, "bad"),
        (400, [], b'{"error":{"code":"1211","message":"no"}}', DeploymentMisconfigured, "no model"),
        (400, [], b'{"error":{"message":"Model Not Exist","type":"invalid_request_error","code":"model_not_found"}}', DeploymentMisconfigured, "no model"),
        (400, [], b'[{"error":{"code":400,"message":"odd list"}}]', InvalidRequest, "odd list"),
        (400, [], b'{"error":{"message":{"deep":["odd"]},"code":3.5}}', InvalidRequest, "odd"),
        (418, [], b"short and stout", ModelUnavailable, "short and stout"),
    ],
)  # fmt: skip
async def test_each_status_is_what_it_means(
    upstream: Server,
    serve: Serve,
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
    kind: type[HeadraceError],
    words: str,
) -> None:
    error = await failed(upstream, serve, Answer(status, headers, body))
    assert type(error) is kind
    assert words in error.message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"error": {"message": "Unknown parameter: 'foo'.", "param": None}}, "foo"),
        ({"error": {"message": "property 'logit_bias' is unsupported"}}, "logit_bias"),
        ({"error": {"message": "Unsupported value: 'temperature'", "param": "temperature"}}, "temperature"),
        (
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}]},
            "top_k",
        ),
        (
            {
                "object": "error",
                "message": {"detail": [{"loc": ["body", "messages", 0, "name"], "msg": "Extra inputs"}]},
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            },
            "messages.0.name",
        ),
    ],
    ids=["OpenAI", "Groq", "param", "FastAPI", "Mistral"],
)  # fmt: skip
async def test_the_refused_field_is_named(
    upstream: Server, serve: Serve, body: dict[str, object], param: str
) -> None:
    error = await failed(upstream, serve, json_answer(body, 422))
    assert isinstance(error, InvalidRequest)
    assert error.param == param


async def test_a_message_that_quotes_the_key_is_blotted(upstream: Server, serve: Serve) -> None:
    error = await failed(upstream, serve, error_answer(400, f"odd {KEY}", "x", None))
    assert "odd …" in error.message


async def test_a_prompt_that_the_filter_refuses_is_blocked(upstream: Server, serve: Serve) -> None:
    error = {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
        "management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {
                "hate": {"filtered": False, "severity": "safe"},
                "jailbreak": {"filtered": True, "detected": True},
                "violence": {"filtered": True, "severity": "medium"},
            },
        },
    }
    blocked = await failed(upstream, serve, json_answer({"error": error}, 400))
    assert isinstance(blocked, PolicyBlocked)
    assert "(jailbreak, violence (medium))" in blocked.message


LONG = [
    ("This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens. Please reduce the length of the messages.", 8227, 8192),
    ("This model's maximum context length is 6048 tokens. However, you requested 9616 tokens (6568 in the messages, 3048 in the completion). Please reduce the length of the messages or completion.", 6568, 6048),
    ("Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300123 tokens. Please reduce the length of the messages.", 300123, 272000),
    ("This model's maximum context length is 8192 tokens, however you requested 9000 tokens (9000 in your prompt; 0 for the completion). Please reduce your prompt; or completion length.", 9000, 8192),
    ("The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.", 5000, 4096),
    ("The input (61709 tokens) is longer than the model's context length (40960 tokens).", 61709, 40960),
    ("Requested token count exceeds the model's maximum context length of 40960 tokens. You requested a total of 50000 tokens: 45000 tokens from the input messages and 5000 tokens for the completion.", 45000, 40960),
    ("the request (9001 tokens) exceeds the available context size (4096 tokens), try increasing it: request (9001 tokens) exceeds the available context size (4096 tokens)", 9001, 4096),
    ("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", 40000, 32768),
    ("This model's maximum prompt length is 131072 but the request contains 140000 tokens.", 140000, 131072),
    ("The prompt is too long: 9000, model maximum context length: 8191", 9000, 8191),
    ("Please reduce the length of the messages or completion. Current length is 10000 while limit is 8192", 10000, 8192),
    ("Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)", 9000, 8192),
    ("This endpoint's maximum context length is 32768 tokens. However, you requested about 40100 tokens (40000 of text input, 100 in the output).", 40000, 32768),
]  # fmt: skip


@pytest.mark.parametrize(("message", "tokens", "limit"), LONG)
async def test_a_prompt_that_is_too_long_is_counted(
    upstream: Server, serve: Serve, message: str, tokens: int, limit: int
) -> None:
    answer = error_answer(400, message, "BadRequestError", None)
    error = await failed(upstream, serve, answer)
    assert isinstance(error, ContextTooLong)
    assert f"is {limit} tokens" in error.message
    assert f"come to {tokens} tokens" in error.message


async def test_counts_may_be_figures_of_their_own(upstream: Server, serve: Serve) -> None:
    body = {
        "error": {
            "code": 400,
            "message": "the request exceeds the available context size, try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 9001,
            "n_ctx": 4096,
        }
    }
    error = await failed(upstream, serve, json_answer(body, 400))
    assert isinstance(error, ContextTooLong)
    assert "9001" in error.message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("context_length_exceeded", "Please reduce the length of the messages or completion."),
        ("context_length_exceeded", "Your input exceeds the context window of this model."),
        ("invalid_parameter_error", "Range of input length should be [1, 30720]"),
        ("1261", "Prompt 超长"),
    ],
)
async def test_a_prompt_that_is_too_long_may_be_uncounted(
    upstream: Server, serve: Serve, code: str, message: str
) -> None:
    error = await failed(upstream, serve, error_answer(400, message, "x", code))
    assert isinstance(error, ContextTooLong)
    assert error.param == "messages"


async def test_an_answer_that_does_not_fit_blames_its_length(
    upstream: Server, serve: Serve
) -> None:
    message = (
        "'max_tokens' or 'max_completion_tokens' is too large: 1000. This model's maximum context "
        "length is 4096 tokens and your request has 3500 input tokens (1000 > 4096 - 3500)."
    )
    error = await failed(upstream, serve, error_answer(400, message, "BadRequestError", None))
    assert isinstance(error, ContextTooLong)
    assert error.param == "max_tokens"


def test_other_errors_are_no_matter_of_length() -> None:
    assert context_error("", "Invalid value for 'stop': at most 4 sequences.", "m") is None


async def test_vectors_are_put_in_order(upstream: Server, serve: Serve) -> None:
    data = [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": "AAAAAA=="}]
    upstream.script(json_answer({"data": data}), json_answer({"data": [{"embedding": "AAA"}]}))
    backend = await serve()
    assert (await backend.embed(["a", "b"])).vectors == [[0.0], [1.0]]
    with pytest.raises(ModelUnavailable, match="a vector that is none"):
        await backend.embed(["a"])


async def test_what_is_no_list_of_vectors_or_models_is_told(upstream: Server, serve: Serve) -> None:
    backend = await serve()
    upstream.script(Answer(200, (), b"{}"), Answer(200, (), json.dumps({"data": [1]}).encode()))
    with pytest.raises(ModelUnavailable, match="unreadable"):
        await backend.embed(["a"])
    with pytest.raises(ModelUnavailable, match="unreadable"):
        await backend.listed()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "param", "detail", "loc", "msg"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    status=st.integers(300, 599),
    body=st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode())),
    retry=st.text(max_size=12),
)
def test_any_response_is_some_failure(status: int, body: bytes, retry: str) -> None:
    wire = OpenAIWire(Site(provider="x", model="m"), Quirks())
    assert wire.error_of(status, {"retry-after": retry}, body).message
