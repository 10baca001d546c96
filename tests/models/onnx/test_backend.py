"""The built-in embedding model: real vectors, in order, questions before imports."""

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from headrace.errors import ModelUnavailable
from headrace.models.backend import Call
from headrace.models.embedder import ModelEmbedder, open_embedder
from headrace.models.errors import NotOffered, WeightsUnavailable
from headrace.models.onnx import OnnxBackend, OnnxSettings
from headrace.types import Message, Params

pytestmark = pytest.mark.model

PAIRS = [
    ("How tall is the mill wheel?", "The wheel of the mill is seven metres high."),
    ("When may I return a purchase?", "Goods can be sent back within thirty days."),
    ("Who approves my holiday?", "The head of the department approves holidays."),
    ("How do I reset my password?", "Open the account page and choose a new passphrase."),
]


async def test_a_question_is_nearest_to_its_answer(embedder: ModelEmbedder) -> None:
    questions = await embedder.embed([question for question, _ in PAIRS], kind="query")
    answers = await embedder.embed([answer for _, answer in PAIRS])
    assert questions.shape == (4, 384)
    assert questions.dtype == np.float32
    assert (questions @ answers.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert np.allclose(np.linalg.norm(answers, axis=1), 1, atol=1e-5)


async def test_vectors_do_not_depend_on_what_they_are_computed_with(
    embedder: ModelEmbedder,
) -> None:
    texts = ["Hi", *(f"{i} " + "sacks of flour " * i for i in range(60)), "水车", ""]
    together = await embedder.embed(texts)
    alone = np.concatenate([await embedder.embed([each]) for each in texts[:8]])
    # Eight-bit models round by the batch's range: the direction stays.
    assert ((together[:8] * alone).sum(axis=1) > 0.98).all()
    assert len(together) == len(texts)


async def test_a_question_does_not_wait_for_a_whole_import(embedder: ModelEmbedder) -> None:
    ended: list[str] = []

    async def embed(name: str, texts: list[str]) -> None:
        await embedder.embed(texts)
        ended.append(name)

    long = asyncio.create_task(embed("import", ["sacks of flour and meal " * 40] * 60))
    await asyncio.sleep(0.05)
    await embed("question", ["How tall is it?"])
    await long
    assert ended == ["question", "import"]


async def test_a_caller_that_leaves_leaves_the_line(embedder: ModelEmbedder) -> None:
    long = asyncio.create_task(embedder.embed(["sacks of flour and meal " * 40] * 200))
    await asyncio.sleep(0.05)
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    assert (await embedder.embed(["still there"])).shape == (1, 384)


async def test_an_id_is_of_what_is_computed_alone(tmp_path: Path) -> None:
    def digest(**settings: object) -> str:
        made = OnnxSettings(**settings)  # type: ignore[arg-type]
        return OnnxBackend(made, name="e", root=tmp_path, home=tmp_path).digest

    assert digest() == digest(threads=1) != digest(pooling="first")


async def test_it_does_not_answer(tmp_path: Path) -> None:
    backend = OnnxBackend(OnnxSettings(), name="embedding", root=tmp_path, home=tmp_path)
    with pytest.raises(NotOffered, match="makes embeddings"):
        async for _ in backend.generate(Call([Message(role="user", content="Hi")], Params())):
            pass


async def test_files_that_are_no_model_are_said(tmp_path: Path, embedding_folder: Path) -> None:
    wrong = tmp_path / "model.onnx"
    wrong.write_bytes(b"no model")
    (tmp_path / "models").symlink_to(embedding_folder)
    settings = OnnxSettings(weights="file:model.onnx")
    backend = OnnxBackend(settings, name="e", root=tmp_path, home=tmp_path)
    with pytest.raises(ModelUnavailable, match=r"model\.onnx cannot be loaded"):
        await backend.embed(["Hi"])
    settings = OnnxSettings(tokenizer="file:model.onnx")
    backend = OnnxBackend(settings, name="e", root=tmp_path, home=tmp_path)
    with pytest.raises(ModelUnavailable, match="no tokenizer"):
        await backend.embed(["Hi"])
    settings = OnnxSettings(weights="file:gone.onnx")
    backend = OnnxBackend(settings, name="e", root=tmp_path, home=tmp_path)
    with pytest.raises(WeightsUnavailable, match="no file"):
        await backend.embed(["Hi"])


async def test_a_service_may_name_its_own(tmp_path: Path, embedding_folder: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(
        "models:\n"
        "  chat:\n    deployments:\n"
        "      - {backend: openai_compatible, model: m, base_url: http://127.0.0.1:9/v1}\n"
        "  embedding:\n    deployments:\n      - {backend: onnx, context_tokens: 64}\n"
        "pipeline: [generate]\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(embedding_folder)
    async with open_embedder(tmp_path, home, os.environ) as own:
        assert (await own.embed(["Hi"])).shape == (1, 384)
    async with open_embedder(Path("/nonexistent"), home, os.environ) as builtin:
        assert own.id != builtin.id
