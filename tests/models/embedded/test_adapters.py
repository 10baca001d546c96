"""Adapters on the real weights: one process for all of a base, each answer from its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from headrace.config.load import parse_service
from headrace.config.model import AdapterConfig
from headrace.config.node import parse_yaml
from headrace.errors import ConfigError, InvalidRequest, ModelUnavailable
from headrace.models.adapter import Adapter, AdapterStore
from headrace.models.box import ModelBox
from headrace.models.embedded.adapted import AdaptedBackend
from headrace.models.embedded.backend import EmbeddedBackend
from headrace.models.embedded.shared import Turns
from headrace.models.errors import AdapterUnusable, WeightsUnavailable
from headrace.models.tuned import Tuned, TunedModel
from tests.models.embedded.answer import ask, call
from tests.models.embedded.conftest import WEIGHTS
from tests.models.embedded.lora import write_adapter

pytestmark = pytest.mark.asyncio(loop_scope="session")
real = pytest.mark.model

QUESTION = "Name the capital of France. " * 4
OTHER = "Beta gamma delta " * 6


def yaml_of(*adapters: str) -> str:
    """A service with the assistant's weights and models with adapters on them."""
    settings = f"weights: '{WEIGHTS}', context_tokens: 1024, threads: 1, parallel: 2"
    deployment = f"    deployments: [{{backend: embedded, {settings}}}]"
    lines = ["models:", "  base:", deployment]
    for number, each in enumerate(adapters, 1):
        lines.append(f"  tuned-{number}: {{base: base, adapter: '{each}'}}")
    return "\n".join([*lines, "pipeline: [generate]", ""])


def box_of(home: Path, *adapters: str, reuse: ModelBox | None = None) -> ModelBox:
    config = parse_service(
        parse_yaml(yaml_of(*adapters), "headrace.yaml", {}, root=home), home, builtin=False
    )
    return ModelBox.build(config, home, {}, reuse=reuse)


def backend_of(box: ModelBox, name: str) -> EmbeddedBackend:
    backend = box.get(name).first.deployments[0].backend
    assert isinstance(backend, EmbeddedBackend)
    return backend


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def home(tmp_path_factory: pytest.TempPathFactory, weights_folder: Path) -> Path:
    """A home with the weights and three adapters: two to use, one for another model."""
    folder = tmp_path_factory.mktemp("adapters")
    (folder / "models").symlink_to(weights_folder)
    write_adapter(folder / "one.gguf", 1)
    write_adapter(folder / "two.gguf", 2)
    write_adapter(folder / "narrow.gguf", 3, hidden=500)
    write_adapter(folder / "qwen.gguf", 4, architecture="qwen2")
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def box(home: Path) -> AsyncIterator[ModelBox]:
    """A base and two adapters, running."""
    made = box_of(home, "file:one.gguf", "file:two.gguf")
    await made.start()
    yield made
    await made.stop()


async def said(
    box: ModelBox, name: str, text: str = QUESTION, extra: dict[str, object] | None = None
) -> list[float]:
    """The likelihoods of the answer's first token: they tell who answered."""
    asked = call(text, max_tokens=1, logprobs=True, top_logprobs=3, extra=extra or {})
    answer = await ask(backend_of(box, name), asked)
    return [each.logprob for each in answer.logprobs[0].top_logprobs]


@real
async def test_each_adapter_answers_as_itself_whoever_asked_before(box: ModelBox) -> None:
    alone = {
        name: await said(box, name, extra={"cache_prompt": False})
        for name in ("base", "tuned-1", "tuned-2")
    }
    assert len({tuple(each) for each in alone.values()}) == 3
    for name in ("tuned-1", "tuned-2", "base", "tuned-2", "tuned-1"):
        await said(box, name, OTHER)
        assert await said(box, name) == pytest.approx(alone[name], abs=0.25), name


@real
async def test_all_adapters_of_a_base_share_one_process_and_the_base_keeps_its_own(
    box: ModelBox,
) -> None:
    pids = {name: backend_of(box, name).worker_pid for name in ("base", "tuned-1", "tuned-2")}
    assert pids["tuned-1"] == pids["tuned-2"] != pids["base"]


@real
async def test_a_client_cannot_reach_the_adapter_beside(box: ModelBox) -> None:
    own = await said(box, "tuned-1")
    reached = await said(box, "tuned-1", extra={"lora": [{"id": 1, "scale": 1.0}]})
    assert reached == pytest.approx(own, abs=0.25)


@real
async def test_a_new_adapter_starts_a_second_process_and_cuts_no_stream(
    box: ModelBox, home: Path
) -> None:
    write_adapter(home / "three.gguf", 5)
    old = backend_of(box, "tuned-1")
    running = old.generate(call("Count.", max_tokens=60, extra={"ignore_eos": True}))
    first = await anext(running)
    new = box_of(home, "file:one.gguf", "file:two.gguf", "file:three.gguf", reuse=box)
    await new.start()
    try:
        assert backend_of(new, "base") is backend_of(box, "base")
        assert backend_of(new, "tuned-1").worker_pid != old.worker_pid
        assert (await said(new, "tuned-3")) != await said(new, "tuned-1")
        rest = [each async for each in running]
        assert first is not None
        assert rest[-1].usage is not None
        assert rest[-1].usage.completion_tokens == 60
    finally:
        await box.retire(new, quiet_s=0)
        assert backend_of(box, "base").is_ready()


@real
async def test_digests_name_the_weights_and_the_adapter(box: ModelBox) -> None:
    base, tuned = backend_of(box, "base"), backend_of(box, "tuned-1")
    assert isinstance(tuned, AdaptedBackend)
    assert tuned.digest == f"{base.digest}+{tuned.adapter}"
    described = box.digests()["tuned-1"]
    assert isinstance(described, dict)
    assert described["adapters"] == [tuned.adapter]
    assert "adapters" not in str(box.digests()["base"])


@real
async def test_an_adapter_makes_no_embeddings(box: ModelBox) -> None:
    with pytest.raises(InvalidRequest, match="makes no embeddings"):
        await backend_of(box, "tuned-1").embed(["text"])


@real
@pytest.mark.parametrize(
    ("adapter", "why"),
    [
        ("narrow.gguf", "does not fit .*1536x500 .*1536x576"),
        ("qwen.gguf", "architecture 'qwen2'; .* is 'llama'"),
        ("not-there.gguf", "there is no file"),
    ],
)
async def test_an_adapter_that_does_not_fit_says_why(home: Path, adapter: str, why: str) -> None:
    made = box_of(home, f"file:{adapter}")
    try:
        with pytest.raises(WeightsUnavailable, match=why):
            await made.start()
    finally:
        await made.stop()


@real
async def test_an_altered_adapter_is_refused(home: Path) -> None:
    file = write_adapter(home / "altered.gguf", 6)
    made = box_of(home, "file:altered.gguf")
    await made.start()
    await made.stop()
    write_adapter(file, 7)
    with pytest.raises(WeightsUnavailable, match="when it was first seen"):
        await made.start()
    await made.stop()


@real
async def test_an_adapter_of_other_weights_is_refused_by_their_checksum(home: Path) -> None:
    folder = home / "made"
    folder.mkdir()
    write_adapter(folder / "adapter.gguf", 8)
    kept = AdapterStore(home).put(
        Adapter(digest="sha256:" + "ab" * 32, name="x", base="y", base_sha256="cd" * 32), folder
    )
    made = box_of(home, f"registry:{kept.digest[:20]}")
    with pytest.raises(AdapterUnusable, match="was trained on weights with the SHA-256 cdcd"):
        await made.start()
    await made.stop()


async def test_an_adapter_that_the_registry_does_not_have_is_named_with_its_line(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"headrace.yaml:4: .*there is no adapter 'sha256:00'"):
        box_of(tmp_path, "registry:sha256:00")


@real
async def test_a_fine_tune_that_cannot_be_served_keeps_nothing_else_from_it(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = home / "broken"
    folder.mkdir()
    write_adapter(folder / "adapter.gguf", 9, hidden=500)
    digest = "sha256:" + "ef" * 32
    AdapterStore(home).put(Adapter(digest=digest, name="x", base="y", base_sha256=""), folder)
    config = parse_service(
        parse_yaml(yaml_of(), "headrace.yaml", {}, root=home), home, builtin=False
    )
    served = Tuned(name="ft:x", base="base", digest=digest, created_at=1.0, key_id="key")
    adapter = AdapterConfig(base="base", adapter=f"registry:{digest}")
    tuned = msgspec.structs.replace(config.models["base"], name="ft:x", adapter=adapter)
    made = ModelBox.build(config, home, {}, tuned=[TunedModel(served, tuned)])
    await made.start()
    try:
        assert made.is_ready()
        assert "a fine-tune does not answer: the adapter sha256:efef" in caplog.text
        with pytest.raises(ModelUnavailable):
            await said(made, "ft:x")
        assert "ft:x" not in made.digests()
        assert "ft:x" in made.names()
    finally:
        await made.stop()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), max_size=12))
async def test_one_adapter_at_a_time_and_nobody_waits_for_ever(
    calls: list[tuple[int, int, bool]],
) -> None:
    turns, inside, done = Turns(), [], 0

    async def one(adapter: int, steps: int) -> None:
        nonlocal done
        async with turns.take(adapter):
            inside.append(adapter)
            try:
                for _ in range(steps):
                    assert set(inside) == {adapter}
                    await asyncio.sleep(0)
            finally:
                inside.remove(adapter)
        done += 1

    tasks = []
    for adapter, steps, is_cancelled in calls:
        task = asyncio.create_task(one(adapter, steps))
        tasks.append(task)
        await asyncio.sleep(0)
        if is_cancelled:
            task.cancel()
    async with asyncio.timeout(10):
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [each for each in ended if each and not isinstance(each, asyncio.CancelledError)] == []
    assert done >= sum(not is_cancelled for *_, is_cancelled in calls)
    async with asyncio.timeout(1), turns.take(9):
        pass
