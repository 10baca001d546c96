"""The built-in multilingual model: Chinese and English meanings, exact whatever is beside them."""

from pathlib import Path

import numpy as np
import pytest

from headrace.errors import ModelUnavailable
from headrace.models.embedder import ModelEmbedder
from headrace.models.universal import UniversalBackend, UniversalSettings

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]

PAIRS = [
    ("急诊要排队吗？", "急诊全天开放，按病情轻重而不是先来后到安排就诊。"),
    ("买来的东西不想要了怎么办？", "退货须在签收后三十天内提出，商品要保持原包装。"),
    ("孩子多大可以上托儿班？", "幼儿园入园年龄为三周岁，以九月一日为界。"),
    ("房子摇晃起来应该躲到哪里？", "地震时躲在结实的桌子下面，护住头部，不要乘电梯。"),
]
ENGLISH = [
    "The emergency ward treats by severity, not by order of arrival.",
    "Goods may be returned within thirty days in their original packaging.",
    "Children enter kindergarten at three, counted on the first of September.",
    "In an earthquake take cover under a sturdy table and keep out of lifts.",
]


async def test_a_chinese_question_is_nearest_to_its_answer_in_either_language(
    multilingual: ModelEmbedder,
) -> None:
    questions = await multilingual.embed([question for question, _ in PAIRS], kind="query")
    answers = await multilingual.embed([answer for _, answer in PAIRS])
    english = await multilingual.embed(ENGLISH)
    assert questions.shape == (4, 512)
    assert questions.dtype == np.float32
    assert (questions @ answers.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert (questions @ english.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert np.allclose(np.linalg.norm(answers, axis=1), 1, atol=1e-5)


async def test_a_vector_does_not_depend_on_what_it_is_computed_with(
    multilingual: ModelEmbedder,
) -> None:
    texts = ["Hi", "水车", *(f"{i} " + "一袋面粉" * i for i in range(40)), "", "</s> <s>", "😀𠮷"]
    together = await multilingual.embed(texts)
    alone = np.concatenate([await multilingual.embed([each]) for each in texts])
    assert np.allclose(together, alone, atol=1e-4)


async def test_it_gives_the_vectors_that_the_original_gives(multilingual: ModelEmbedder) -> None:
    # As the ONNX graph gives them that the weights come from, kept in eight bits.
    original = np.load(Path(__file__).with_name("original.npy")).astype(np.float32)
    original /= np.linalg.norm(original, axis=1, keepdims=True)
    rows = await multilingual.embed(["西湖位于浙江省杭州市西部", "How tall is the mill wheel?"])
    assert (rows * original).sum(axis=1) == pytest.approx([1, 1], abs=0.02)


async def test_what_is_cut_off_is_counted(multilingual: ModelEmbedder) -> None:
    before = multilingual.truncated
    await multilingual.embed(["水" * 100, "面粉和谷物，" * 300])
    assert multilingual.truncated == before + 1


async def test_files_that_are_no_model_are_said(tmp_path: Path, multilingual_folder: Path) -> None:
    (tmp_path / "wrong").write_bytes(b"no model")
    (tmp_path / "models").symlink_to(multilingual_folder)
    settings = UniversalSettings(weights="file:wrong")
    backend = UniversalBackend(settings, name="e", root=tmp_path, home=tmp_path)
    with pytest.raises(ModelUnavailable, match="holds no weights of this encoder"):
        await backend.embed(["Hi"])
    settings = UniversalSettings(tokenizer="file:wrong")
    backend = UniversalBackend(settings, name="e", root=tmp_path, home=tmp_path)
    with pytest.raises(ModelUnavailable, match="wrong is no vocabulary"):
        await backend.embed(["Hi"])
