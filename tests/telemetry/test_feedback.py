"""Feedback: ratings come through the journal, the last word counts, comments are sealed."""

from collections.abc import Callable

import pytest

from headrace.errors import InvalidRequest
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.errors import StateUnusable
from headrace.storage.writer import BatchWriter
from headrace.telemetry.feedback import FeedbackStore, corrections
from headrace.telemetry.trace import Trace

pytestmark = pytest.mark.engines


async def test_a_rating_is_kept_with_its_comment(
    feedback: FeedbackStore, writer: BatchWriter
) -> None:
    given = await feedback.record("trace-1", -1, "答非所问: wrong city", "key-1")
    await writer.flush()
    assert feedback.for_trace("trace-1") == [given]
    assert feedback.for_trace("trace-2") == []


async def test_the_last_word_of_each_key_counts(
    feedback: FeedbackStore, writer: BatchWriter
) -> None:
    await feedback.record("trace-1", 1, "", "key-1")
    other = await feedback.record("trace-1", 1, "", "key-2")
    last = await feedback.record("trace-1", -1, "changed my mind", "key-1")
    await writer.flush()
    assert feedback.for_trace("trace-1") == [other, last]


async def test_comments_are_sealed_on_the_disk_and_go_with_their_author(
    feedback: FeedbackStore, writer: BatchWriter, vault: Vault, on_disk: Callable[[], bytes]
) -> None:
    await feedback.record("trace-1", 1, "my number is 555-0199", "key-1")
    assert b"555-0199" not in on_disk()
    await writer.flush()
    assert b"555-0199" not in on_disk()
    vault.destroy("key-1")
    assert [each.comment for each in feedback.for_trace("trace-1")] == [""]


async def test_a_correction_is_sealed_for_whom_the_answer_is_about_and_goes_with_them(
    feedback: FeedbackStore,
    writer: BatchWriter,
    vault: Vault,
    database: Database,
    keep: Callable[[Trace], Trace],
    make_trace: Callable[..., Trace],
    on_disk: Callable[[], bytes],
) -> None:
    kept = keep(make_trace())
    person = vault.subject_id(kept.subject)
    await feedback.record(kept.id, -1, "", "key-1", correction="It is Oslo.", subject=person)
    given = await feedback.record(
        kept.id, -1, "no", "key-2", correction="It is Bergen.", subject=person
    )
    await writer.flush()
    assert b"Bergen" not in on_disk()
    assert feedback.for_trace(kept.id)[-1] == given
    # The newest counts, and only people who are asked for are read.
    assert corrections(database, vault, {person}) == {kept.id: "It is Bergen."}
    assert corrections(database, vault, {"s_other"}) == {}
    # Whoever rates again without one takes it back.
    await feedback.record(kept.id, -1, "no", "key-2", subject=person)
    await writer.flush()
    assert corrections(database, vault, {person}) == {kept.id: "It is Oslo."}
    vault.destroy(person)
    assert corrections(database, vault, {person}) == {}
    assert [each.correction for each in feedback.for_trace(kept.id)] == ["", ""]
    assert feedback.for_trace(kept.id)[-1].comment == "no"


async def test_a_correction_has_a_limit_that_is_named(feedback: FeedbackStore) -> None:
    with pytest.raises(InvalidRequest, match="100000") as caught:
        await feedback.record("trace-1", -1, "", "key-1", correction="x" * 100_001, subject="s")
    assert caught.value.param == "correction"


@pytest.mark.parametrize("score", [0, 2, -2])
async def test_a_score_is_one_or_minus_one(feedback: FeedbackStore, score: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await feedback.record("trace-1", score, "", "key-1")
    assert caught.value.param == "score"


async def test_a_comment_has_a_limit_that_is_named(feedback: FeedbackStore) -> None:
    with pytest.raises(InvalidRequest, match="10000") as caught:
        await feedback.record("trace-1", 1, "x" * 10_001, "key-1")
    assert caught.value.param == "comment"


async def test_a_rating_that_cannot_be_kept_is_not_thanked_for(
    database: Database, vault: Vault, make_writer: Callable[..., BatchWriter]
) -> None:
    writer = make_writer()
    for size in (100_000, 1000, 10):
        while writer.append("feedback", bytes(size)):
            pass
    with pytest.raises(StateUnusable, match="cannot be stored now"):
        await FeedbackStore(database, writer, vault).record("t", 1, "x" * 10_000, "key-1")
