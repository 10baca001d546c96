"""The built-in embedding model: real vectors, in order, and what is said when there are none."""

import os
import platform
from pathlib import Path

import numpy as np
import pytest

from headrace.errors import ModelUnavailable
from headrace.models.backend import Call
from headrace.models.embedder import ModelEmbedder, open_embedder
from headrace.models.errors import DeploymentMisconfigured, NotOffered, WeightsUnavailable
from headrace.models.onnx import OnnxBackend, OnnxSettings
from headrace.models.onnx.eight_bits import in_eight_bits, is_able
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


async def test_what_is_cut_off_is_counted(embedder: ModelEmbedder) -> None:
    await embedder.embed(["short", "sacks of flour and meal " * 100])
    assert embedder.truncated == 1


async def test_more_tokens_than_the_model_has_positions_are_said_when_it_loads(
    tmp_path: Path, embedding_folder: Path
) -> None:
    (tmp_path / "models").symlink_to(embedding_folder)
    settings = OnnxSettings(context_tokens=1024)
    backend = OnnxBackend(settings, name="e", root=tmp_path, home=tmp_path)
    with pytest.raises(DeploymentMisconfigured, match="cannot compute 1024 tokens") as caught:
        await backend.embed(["Hi"])
    assert "`context_tokens` (1024)" in caught.value.hint


async def test_an_id_is_of_what_is_computed_alone(tmp_path: Path) -> None:
    def digest(**settings: object) -> str:
        made = OnnxSettings(**settings)  # type: ignore[arg-type]
        return OnnxBackend(made, name="e", root=tmp_path, home=tmp_path).digest

    assert digest() == digest(threads=1) != digest(pooling="first")
    assert digest() == digest(arithmetic="float32") != digest(arithmetic="int8")


async def test_eight_bits_find_the_same_answers_by_vectors_of_their_own_texts(
    tmp_path: Path, embedding_folder: Path, embedder: ModelEmbedder
) -> None:
    if not is_able():
        pytest.skip("this processor has no VNNI")
    (tmp_path / "models").symlink_to(embedding_folder)
    settings = OnnxSettings(arithmetic="int8")
    backend = OnnxBackend(settings, name="e", root=tmp_path, home=tmp_path)
    asked, told = map(list, zip(*PAIRS, strict=True))
    made, _ = await backend.embed_rows([*asked, *told])
    usual = await embedder.embed([*asked, *told])
    likeness = (made * usual).sum(axis=1)
    assert (likeness > 0.98).all()
    # It did compute in another way.
    assert (likeness < 0.9999).all()
    assert (made[:4] @ made[4:].T).argmax(axis=1).tolist() == [0, 1, 2, 3]
    alone, _ = await backend.embed_rows([told[2]])
    assert np.array_equal(alone[0], made[6])
    await backend.stop()


def test_eight_bits_are_refused_where_they_would_be_wrong(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    for flags, able in (("avx2 avx512_vnni", True), ("avx2", platform.machine() != "x86_64")):
        cpuinfo.write_text(f"flags\t: {flags}\n")
        assert is_able(cpuinfo) == able


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"no model at all", "cannot be read"),
        (b"\x3a\x00", "no weights of 8 bits"),
        (b"\x3a", "read"),
    ],
)
def test_a_file_that_cannot_be_computed_in_eight_bits_is_said(file: bytes, said: str) -> None:
    with pytest.raises(ModelUnavailable, match=said):
        in_eight_bits(file, "model.onnx")


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


async def test_what_stands_before_a_text_depends_on_what_it_is(
    tmp_path: Path, embedding_folder: Path
) -> None:
    (tmp_path / "models").symlink_to(embedding_folder)
    prefixed = OnnxSettings(query_prefix="query: ", passage_prefix="passage: ")
    backend = OnnxBackend(prefixed, name="e", root=tmp_path, home=tmp_path)
    plain = OnnxBackend(OnnxSettings(), name="p", root=tmp_path, home=tmp_path)
    asked = await backend.embed(["wheel"], kind="query")
    kept, unsaid = [await backend.embed(["wheel"], kind=kind) for kind in ("passage", None)]
    words = [(await plain.embed([f"{each}: wheel"])).vectors for each in ("query", "passage")]
    assert [asked.vectors, kept.vectors] == words
    assert unsaid.vectors == kept.vectors
    await backend.stop()
    await plain.stop()


async def test_a_model_of_several_deployments_asks_them_all(
    tmp_path: Path, embedding_folder: Path
) -> None:
    (tmp_path / "headrace.yaml").write_text(
        "models:\n"
        "  embedding:\n    deployments:\n"
        "      - {backend: openai_compatible, model: m, base_url: http://127.0.0.1:9/v1}\n"
        "      - {backend: onnx}\n"
        "pipeline: [generate]\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(embedding_folder)
    async with open_embedder(tmp_path, home, os.environ) as mixed:
        # Whichever is asked first, the one that is down is not the end of it.
        rows = await mixed.embed(["Hi", "flour " * 600])
        assert rows.shape == (2, 384)
        assert mixed.truncated == 1
