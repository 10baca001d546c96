"""Chunks: exact spans, nothing lost, never too long, cut where a reader would cut."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge.chunk.chunk import chunk, estimate_tokens
from headrace.knowledge.chunk.sentence import sentences
from headrace.knowledge.chunk.settings import ChunkSettings
from headrace.knowledge.document import Block, BlockKind, Document


def document(text: str, kind: BlockKind = "text") -> Document:
    return Document(
        uri="a.md",
        title="a",
        text=text,
        blocks=(Block(kind, 0, len(text)),),
        media_type="text/plain",
        digest="0" * 64,
    )


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text, 0, len(text))]


def test_abbreviations_decimals_and_addresses_do_not_end_a_sentence() -> None:
    text = 'Dr. Smith paid 3.50 e.g. at https://a.example/b.c?d=1. "Fine." She left! '
    assert split(text) == [
        "Dr. Smith paid 3.50 e.g. at https://a.example/b.c?d=1.",
        '"Fine."',
        "She left!",
    ]


def test_chinese_sentences_end_at_their_own_marks() -> None:
    assert split("他说：“今天下雨了。”我们改用GPT-4.1吧！好吗？好；走……") == [
        "他说：“今天下雨了。”",
        "我们改用GPT-4.1吧！",
        "好吗？",
        "好；",
        "走……",
    ]


@given(
    st.text(alphabet="ab .。！\n|-中,", max_size=400),
    st.sampled_from(["text", "list", "table", "code"]),
    st.integers(8, 40),
    st.integers(0, 20),
)
def test_chunks_are_exact_ordered_complete_and_short(
    text: str, kind: BlockKind, most: int, overlap: int
) -> None:
    settings = ChunkSettings(target_tokens=most, max_tokens=most, overlap_tokens=overlap)
    source = document(text, kind)
    chunks = chunk(source, settings)
    assert chunks == chunk(source, settings)
    covered: set[int] = set()
    before = (-1, -1)
    for piece in chunks:
        assert 0 <= piece.start < piece.end <= len(text)
        assert (piece.start, piece.end) > before
        assert piece.text.endswith(text[piece.start : piece.end])
        assert kind == "table" or piece.text == text[piece.start : piece.end]
        assert estimate_tokens(piece.text) <= most
        covered.update(range(piece.start, piece.end))
        before = (piece.start, piece.end)
    assert {at for at, sign in enumerate(text) if not sign.isspace()} <= covered


def test_a_line_that_fits_alone_goes_without_the_head_that_does_not_fit_before_it() -> None:
    chunks = chunk(document("a" * 9 + "\n。。。。。", "table"), ChunkSettings(max_tokens=8))
    assert [each.text for each in chunks] == ["a" * 9, "。。。。。"]


def test_a_long_table_repeats_its_head() -> None:
    head = "| name | price |\n|---|---|"
    rows = "\n".join(f"| item {n} | {n} |" for n in range(60))
    chunks = chunk(document(f"{head}\n{rows}", "table"), ChunkSettings(max_tokens=60))
    assert len(chunks) > 3
    assert all(piece.text.startswith(head) for piece in chunks)
    assert all(estimate_tokens(piece.text) <= 60 for piece in chunks)


def test_a_million_marks_in_a_row_are_cut_all_the_same() -> None:
    text = "." * 1_000_000
    chunks = chunk(document(text), ChunkSettings())
    assert "".join(text[piece.start : piece.end] for piece in chunks).startswith(".")
    assert chunks[-1].end == len(text)
