"""LoRA adapters on a vLLM server: loaded there when it does not know them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.config.load import parse_service
from headrace.config.node import parse_yaml
from headrace.errors import ConfigError
from headrace.models.box import ModelBox
from headrace.models.errors import AdapterUnusable, DeploymentMisconfigured
from tests.models.embedded.answer import ask, call
from tests.upstreams.server import serving
from tests.upstreams.vllm import FakeVllm


@pytest.fixture
def vllm() -> Iterator[FakeVllm]:
    with serving() as server:
        yield FakeVllm(server, base="base-model")


def box_of(root: Path, url: str, backend: str = "vllm", adapter: str = "file:lora") -> ModelBox:
    text = f"""\
models:
  base:
    deployments: [{{backend: {backend}, base_url: '{url}/v1', model: base-model}}]
  tuned: {{base: base, adapter: '{adapter}'}}
pipeline: [generate]
"""
    config = parse_service(parse_yaml(text, "headrace.yaml", {}, root=root), root, builtin=False)
    return ModelBox.build(config, root, {})


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    folder = tmp_path / "lora"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


async def said(box: ModelBox, name: str) -> str:
    return (await ask(box.get(name).first.deployments[0].backend, call("Hello"))).text


async def test_an_adapter_is_loaded_once_and_again_when_the_server_has_forgotten_it(
    vllm: FakeVllm, tmp_path: Path, lora: Path
) -> None:
    box = box_of(tmp_path, vllm.server.url())
    await box.start()
    assert await said(box, "tuned") == await said(box, "tuned") == f"from {lora}"
    assert await said(box, "base") == "from base-model"
    assert vllm.loads == 1
    vllm.adapters.clear()
    assert await said(box, "tuned") == f"from {lora}"
    assert vllm.loads == 2
    await box.stop()


async def test_another_adapter_is_another_model_there(
    vllm: FakeVllm, tmp_path: Path, lora: Path
) -> None:
    before = box_of(tmp_path, vllm.server.url()).digests()["tuned"]
    (lora / "adapter_model.safetensors").write_bytes(b"other weights")
    after = box_of(tmp_path, vllm.server.url()).digests()["tuned"]
    assert before != after
    assert isinstance(after, dict)
    assert len(after["adapters"][0]) == 64


async def test_a_server_that_loads_no_adapters_says_how_to_run_it(
    vllm: FakeVllm, tmp_path: Path, lora: Path
) -> None:
    vllm.is_updating_allowed = False
    box = box_of(tmp_path, vllm.server.url())
    await box.start()
    with pytest.raises(DeploymentMisconfigured) as raised:
        await said(box, "tuned")
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True" in raised.value.hint
    assert str(lora) in raised.value.hint
    await box.stop()


async def test_a_folder_that_is_no_adapter_is_refused_at_the_start(
    vllm: FakeVllm, tmp_path: Path
) -> None:
    box = box_of(tmp_path, vllm.server.url())
    with pytest.raises(AdapterUnusable, match="has no adapter_config"):
        await box.start()
    await box.stop()


def test_a_backend_that_takes_no_adapters_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"headrace.yaml:4: models.tuned.base: .*'sglang'"):
        box_of(tmp_path, "http://127.0.0.1:9", backend="sglang")
