"""Rate limits and usage, in every spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.backend import ListedModel, RateLimits
from headrace.models.openai.errors import Site
from headrace.models.openai.listing import listed_in
from headrace.models.openai.usage import WireUsage, rate_limits_of, seconds_of, usage_of
from headrace.models.openai.whole import deltas_of_whole
from headrace.types import Usage
from tests.models.reading import usage_of as usage_in

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723.0),
        ("1d2h", 93600.0),
        ("12", 12.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("1790000060", 60.0),
        ("1790000060000", 60.0),
        ("1789999990", 0.0),
        ("2026-09-21T14:14:20Z", 60.0),
        ("2026-09-21T14:14:20", 60.0),
        (" 1S ", 1.0),
        ("", None),
        (None, None),
        ("-1", None),
        ("nan", None),
        ("soon", None),
        (f"{'9' * 400}s", None),
        ("9" * 400, None),
        ("1s later", None),
    ],
)
def test_resets_are_read_in_every_form(value: str | None, seconds: float | None) -> None:
    got = seconds_of(value, NOW)
    assert got == (pytest.approx(seconds) if seconds is not None else None)


@given(st.text(max_size=12))
def test_any_other_text_is_no_reset_or_a_time_to_come(text: str) -> None:
    got = seconds_of(text, NOW)
    assert got is None or got >= 0


SPELLINGS: dict[str, tuple[dict[str, str], RateLimits | None]] = {
    "OpenAI": (
        {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-limit-tokens": "150000",
            "x-ratelimit-remaining-tokens": "149984",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        RateLimits(
            requests_limit=60,
            requests_remaining=59,
            requests_reset_s=1.0,
            tokens_limit=150000,
            tokens_remaining=149984,
            tokens_reset_s=360.0,
        ),
    ),
    "Azure": (
        {
            "x-ratelimit-remaining-requests": "119",
            "x-ratelimit-remaining-tokens": "119984",
            "x-ratelimit-reset-tokens": "30",
        },
        RateLimits(requests_remaining=119, tokens_remaining=119984, tokens_reset_s=30.0),
    ),
    "Azure, not counting": (
        {"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0"},
        None,
    ),
    "Cerebras": (
        {
            "x-ratelimit-limit-requests-day": "14400",
            "x-ratelimit-remaining-requests-day": "14399",
            "x-ratelimit-reset-requests-day": "33011.382867",
            "x-ratelimit-limit-tokens-minute": "60000",
            "x-ratelimit-remaining-tokens-minute": "59820",
            "x-ratelimit-reset-tokens-minute": "11.38",
        },
        RateLimits(
            requests_limit=14400,
            requests_remaining=14399,
            requests_reset_s=33011.382867,
            tokens_limit=60000,
            tokens_remaining=59820,
            tokens_reset_s=11.38,
        ),
    ),
    "Mistral": (
        {
            "x-ratelimit-limit-req-minute": "360",
            "x-ratelimit-remaining-req-minute": "359",
            "x-ratelimit-limit-tokens-minute": "500000",
            "x-ratelimit-remaining-tokens-minute": "499000",
        },
        RateLimits(
            requests_limit=360,
            requests_remaining=359,
            tokens_limit=500000,
            tokens_remaining=499000,
        ),
    ),
    "Together": (
        {
            "x-ratelimit-limit": "10",
            "x-ratelimit-remaining": "9",
            "x-ratelimit-reset": "1",
            "x-tokenlimit-limit": "3000.0",
            "x-tokenlimit-remaining": "2990.0",
        },
        RateLimits(
            requests_limit=10,
            requests_remaining=9,
            requests_reset_s=1.0,
            tokens_limit=3000,
            tokens_remaining=2990,
        ),
    ),
    "OpenRouter": (
        {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1790000060000"},
        RateLimits(requests_limit=20, requests_remaining=0, requests_reset_s=60.0),
    ),
    "nobody": ({"content-type": "application/json"}, None),
    "nonsense": ({"x-ratelimit-limit-requests": "many"}, None),
}  # fmt: skip


@pytest.mark.parametrize("server", SPELLINGS)
def test_limits_are_read_in_every_spelling(server: str) -> None:
    headers, limits = SPELLINGS[server]
    assert rate_limits_of(headers, NOW) == limits


SITE = Site(provider="x", model="m")


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        (
            (
                b'{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":'
                b'{"cached_tokens":8,"cache_write_tokens":1},"completion_tokens_details":{"reasoning_tokens":3}}'
            ),
            Usage(10, 5, 8, 1, 3),
        ),
        (
            (
                b'{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":8,'
                b'"prompt_cache_miss_tokens":2}'
            ),
            Usage(10, 5, 8),
        ),
        (b'{"prompt_tokens":10,"completion_tokens":5,"cached_tokens":8}', Usage(10, 5, 8)),
        (
            (
                b'{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,'
                b'"completion_tokens_details":{"reasoning_tokens":94}}'
            ),
            Usage(32, 103, reasoning_tokens=94),
        ),
        (
            b'{"prompt_tokens":10,"completion_tokens":null,"prompt_tokens_details":null}',
            Usage(10, 0),
        ),
    ],
    ids=["OpenAI", "DeepSeek", "Moonshot", "xAI", "nulls"],
)
def test_usage_is_put_into_openais_buckets(wire: bytes, usage: Usage) -> None:
    body = b'{"choices":[{"index":0,"message":{"content":"a"}}],"usage":' + wire + b"}"
    assert usage_in(deltas_of_whole(body, SITE)) == usage


def test_reasoning_within_the_completion_is_not_added() -> None:
    wire = WireUsage(prompt_tokens=1, completion_tokens=5, total_tokens=6, reasoning_tokens=3)
    assert usage_of(wire).completion_tokens == 5


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b'{"data":[{"id":"a","max_model_len":4096}]}', ListedModel(id="a", context_tokens=4096)),
        (
            b'[{"id":"a","context_length":8192,"type":"chat"}]',
            ListedModel(id="a", context_tokens=8192),
        ),
        (
            b'{"data":[{"id":"a","context_window":131072,"max_completion_tokens":32768}]}',
            ListedModel(id="a", context_tokens=131072, output_tokens=32768),
        ),
        (
            b'{"data":[{"id":"a","max_context_length":32768,"deprecation":"2026-12-31T12:00:00Z"}]}',
            ListedModel(id="a", context_tokens=32768, shutdown_date="2026-12-31"),
        ),
        (
            b'{"data":[{"id":"a","context_length":1,"top_provider":{"max_completion_tokens":2}}]}',
            ListedModel(id="a", context_tokens=1, output_tokens=2),
        ),
        (
            b'{"data":[{"id":"a","deprecation":{"fine_tune":1,"inference":1798675200}}]}',
            ListedModel(id="a", shutdown_date="2026-12-31"),
        ),
        (
            b'{"data":[{"id":"a","meta":{"n_ctx_train":2048,"n_ctx":1024}}]}',
            ListedModel(id="a", context_tokens=1024),
        ),
    ],
    ids=["vLLM", "Together", "Groq", "Mistral", "OpenRouter", "Azure", "llama.cpp"],
)
def test_models_are_listed_in_every_shape(body: bytes, model: ListedModel) -> None:
    assert list(listed_in(body)) == [model]


def test_a_time_that_there_is_not_is_none() -> None:
    body = b'{"data":[{"id":"a","deprecation":{"inference":99999999999999999999}}]}'
    assert list(listed_in(body)) == [ListedModel(id="a")]
