"""`headrace models list|compare|choose|test`, as a shell calls them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headrace.models import backend_type
from tests.upstreams.server import Answer, Server, json_answer, serving

if TYPE_CHECKING:
    from tests.cli.conftest import Call, StoreTrace

SERVICE = """\
models:
  small:
    deployments: [{backend: embedded, weights: "file:SmolLM2-135M-Instruct.Q4_1.gguf"}]
  bought:
    deployments: [{backend: openai, model: gpt-5-2025-08-07, api_key: k, base_url: URL}]
    price: {input: 1.0, output: 4.0}
pipeline: [generate]
"""


@pytest.fixture
def upstream() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def backends(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """OpenAI's backend installed, by a package of its own where this one does not name it yet."""
    folder = tmp_path_factory.mktemp("installed")
    package = folder / "acme_backends-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-backends\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[headrace.backends]\nopenai = headrace.models.openai.backend:OpenAIBackend\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    backend_type._entries.cache_clear()
    backend_type._loaded.cache_clear()
    yield
    backend_type._entries.cache_clear()
    backend_type._loaded.cache_clear()


@pytest.fixture
def service(folder: Path, backends: None, upstream: Server) -> Path:
    (folder / "headrace.yaml").write_text(SERVICE.replace("URL", f'"{upstream.url("/v1")}"'))
    return folder


@pytest.fixture
def bought(service: Path) -> Path:
    """The same, OpenAI's model at OpenAI's address."""
    text = (service / "headrace.yaml").read_text()
    start = text.index(", base_url")
    (service / "headrace.yaml").write_text(text[:start] + text[text.index("}", start) :])
    return service


def test_the_list_says_price_end_and_what_was_measured(
    call: "Call", bought: Path, store_trace: "StoreTrace"
) -> None:
    for i in range(4):
        store_trace(started_at=time.time() - 60 + i, model="bought", deployment="bought-0")
    listed = call("models", "list")
    assert listed.status == 0, listed.err
    row = next(line for line in listed.out.splitlines() if line.startswith("bought"))
    assert "$1/$4" in row
    assert "2026-12-11" in row
    assert "200 ms" in row
    assert "0.0%" in row
    found = json.loads(call("models", "list", "--json").out)
    [deployment] = found[1]["deployments"]
    assert deployment["catalogue"]["id"] == "openai/gpt-5"
    assert deployment["catalogue"]["price"]["source"].startswith("https://")
    assert deployment["measured"]["turns"] == 4
    assert deployment["retires"]["replacement"] == "openai/gpt-6.1-sol"
    assert found[0]["deployments"][0]["catalogue"]["licence"]["id"] == "apache-2.0"


def test_the_whole_catalogue_is_listed_with_its_days(call: "Call") -> None:
    listed = call("models", "list", "--provider", "groq")
    assert "groq/openai/gpt-oss-120b" in listed.out
    assert "2026-05-27" in listed.out
    assert "openai/gpt-5" not in listed.out
    assert len(json.loads(call("models", "list", "--all", "--json").out)) >= 90
    unknown = call("models", "list", "--provider", "grok")
    assert unknown.status == 2 and "groq" in unknown.err


def test_choosing_gives_reasons_for_both_sides(call: "Call") -> None:
    chosen = call(
        "models", "choose", "--task", "summarise", "--license", "commercial",
        "--context", "16k", "--max-cost", "1.00", "--prefer", "latency",
    )  # fmt: skip
    assert chosen.status == 0
    lines = chosen.out.splitlines()
    assert lines[1].split()[:2] == ["in", "groq/openai/gpt-oss-20b"]
    assert "300 tokens, as published" in lines[1]
    opus = next(line for line in lines if "claude-opus-5-5" in line)
    assert opus.startswith("out") and "above $1.00" in opus
    weights = next(line for line in lines if "smollm2-135m" in line)
    assert "context of 8,192 tokens, not 16,000" in weights
    assert "will do; USD/M at 10:1" in chosen.err


def test_choosing_among_the_declared_ones_knows_their_own_prices(
    call: "Call", service: Path, upstream: Server
) -> None:
    (service / "headrace.yaml").write_text(SERVICE.replace(", base_url: URL", ""))
    found = json.loads(call("models", "choose", "--declared", "--mix", "1:1", "--json").out)
    assert {each["id"]: each["declared_as"] for each in found} == {
        "huggingface/smollm2-135m-instruct": ["small"],
        "openai/gpt-5": ["bought"],
    }
    bought = next(each for each in found if each["id"] == "openai/gpt-5")
    assert bought["usd_per_million"] == 2.5


def test_when_nothing_will_do_the_exit_status_says_so(call: "Call") -> None:
    assert call("models", "choose", "--context", "900M").status == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ("choose", "--context", "many"),
        ("choose", "--mix", "3"),
        ("choose", "--task", "sing"),
        ("choose", "--tokens-per-s", "5"),
        ("compare", "gemini-2.5-pro", "--machine", "a100"),
        ("compare",),
    ],
)
def test_wrong_usage_is_told(wrong: tuple[str, ...], call: "Call") -> None:
    assert call("models", *wrong).status == 2


def test_models_stand_side_by_side(call: "Call") -> None:
    compared = call("models", "compare", "google/gemini-2.5-pro", "openai/gpt-6.1-terra")
    assert compared.status == 0
    assert "2026-12-01" in compared.out
    assert "$1.25/$10" in compared.out
    found = json.loads(call("models", "compare", "openai/gpt-5", "gemini-2.5-pro", "--json").out)
    assert [each["id"] for each in found] == ["openai/gpt-5", "google/gemini-2.5-pro"]


def test_a_machine_of_ones_own_is_compared_with_what_is_bought(call: "Call") -> None:
    args = ("smollm2-135m", "openai/gpt-6-luna", "--mix", "3:1")
    machine = ("--machine-usd-per-hour", "0.10", "--tokens-per-s", "200", "--utilisation", "0.5")
    told = call("models", "compare", *args, *machine)
    assert "$73 a month for the machine" in told.out
    assert "is cheaper than openai/gpt-6-luna from 365 million tokens a month on" in told.out
    [own, bought] = json.loads(call("models", "compare", *args, *machine, "--json").out)
    assert own["usd_per_million"] == pytest.approx(0.1 / (200 * 4 * 3600 * 0.5) * 1e6)
    assert own["break_even_tokens_per_month"]["openai/gpt-6-luna"] == pytest.approx(365e6)
    assert bought["own_machine"] is None


def test_the_users_catalogue_is_used_and_its_mistakes_are_named(call: "Call", folder: Path) -> None:
    (folder / "catalogue.yaml").write_text(
        "machines: {box: {usd_per_hour: 1.0, tokens_per_s: 100}}\n"
        "models: {acme/writer: {kind: open_weights, tasks: [chat]}}\n"
    )
    told = call("models", "compare", "acme/writer", "--machine", "box")
    assert "$730 a month" in told.out
    (folder / "catalogue.yaml").write_text("models: {acme/writer: {kind: open}}\n")
    wrong = call("models", "list")
    assert wrong.status == 1
    assert wrong.err.startswith("error: catalogue.yaml:1: models.'acme/writer'.kind: expected")


def test_a_model_that_answers_is_told_with_its_times(
    call: "Call", service: Path, upstream: Server
) -> None:
    body = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
    upstream.on(
        "POST",
        "/v1/chat/completions",
        lambda asked: Answer(
            headers=[("content-type", "text/event-stream")], body=[body, b"data: [DONE]\n\n"]
        ),
    )
    tested = call("models", "test", "bought")
    assert tested.status == 0, tested.err
    assert "'Hi'" in tested.out and "TTFT" in tested.out
    found = json.loads(call("models", "test", "bought", "--json").out)
    assert (found["ok"], found["text"], found["provider"]) == (True, "Hi", "openai")


def test_a_model_that_refuses_is_told_with_what_to_mend(
    call: "Call", service: Path, upstream: Server
) -> None:
    told = {"message": "Incorrect API key provided: k", "code": "invalid_api_key"}
    refusal = json_answer({"error": {"type": "invalid_request_error", **told}}, 401)
    upstream.on("POST", "/v1/chat/completions", lambda asked: refusal)
    upstream.on("GET", "/v1/models", lambda asked: refusal)
    tested = call("models", "test", "bought")
    assert tested.status == 1
    assert tested.err.startswith("error: bought-0 (openai: gpt-5-2025-08-07): ")
    assert "hint: key: " in tested.err
    failed = call("models", "test", "bought", "--json")
    assert failed.status == 1
    assert json.loads(failed.out)["error"]["fault"] == "key"


def test_a_model_or_deployment_that_is_not_declared_is_told(call: "Call", service: Path) -> None:
    assert "did you mean 'bought'" in call("models", "test", "bougt").err
    assert call("models", "test", "bought", "--deployment", "1").status == 2


@pytest.mark.parametrize("command", ["test", "compare"])
def test_a_route_is_told_from_a_model_that_there_is_not(
    call: "Call", service: Path, command: str
) -> None:
    with (service / "headrace.yaml").open("a") as file:
        file.write("routes: {best: {models: [bought]}}\n")
    told = call("models", command, "best")
    assert told.status == 1
    assert "'best' is a route, not a model" in told.err
    assert "bought" in told.err


@pytest.mark.model
def test_the_built_in_model_answers_a_probe(
    call: "Call", folder: Path, model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(model_home))
    found = json.loads(call("models", "test", "--json").out)
    assert found["ok"], found
    assert found["provider"] == "llama_cpp"
    assert found["usage"]["completion_tokens"] > 1
    assert found["tokens_per_s"] > 0
    assert found["catalogue"] == "huggingface/smollm2-135m-instruct"


def test_the_doctor_names_a_model_that_ends_soon(call: "Call", bought: Path) -> None:
    checks = json.loads(call("doctor", "--json").out)["checks"]
    ending = next(each for each in checks if each["check"] == "catalogue")
    assert ending["status"] == "warn"
    assert "openai/gpt-5-2025-08-07" in ending["message"]
    assert "openai/gpt-6.1-sol" in ending["message"]
