"""Nobody gets an answer that was given to somebody they share nothing with."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from headrace.access.principal import Principal
from headrace.models.cache.cache import AnswerCache
from headrace.models.cache.question import Question
from headrace.models.cache.settings import CacheSettings, SemanticSettings, Share
from headrace.types import Delta, Deltas, Message, Params
from tests.models.cache.conftest import ADA, BOB, EVE, listen, question, vectors
from tests.models.scripted import ScriptedBackend, model_of

ALONE = Principal("key-alone", "alone", "user")
TEXTS = ("What is it?", "What's it, please?")
"""Two that mean the same, to the last degree."""
SAME = vectors({text: [1.0, 0.5] for text in TEXTS})

ASKED = st.fixed_dictionaries(
    {
        "text": st.sampled_from(TEXTS),
        "principal": st.sampled_from([ADA, BOB, EVE, ALONE]),
        "subject": st.sampled_from(["", "patient-1", "patient-2"]),
        "in_conversation": st.booleans(),
        "release": st.sampled_from(["sha256:1", "sha256:2"]),
        "target": st.sampled_from(["m", "route"]),
        "params": st.sampled_from([Params(temperature=0.0), Params(temperature=0.0, max_tokens=9)]),
        "before": st.sampled_from([(), (Message(role="system", content="Be brief."),)]),
    }
)


def shares(one: dict[str, object], other: dict[str, object], share: Share) -> bool:
    """Whether one may be given the other's answer."""
    mine, yours = one["principal"], other["principal"]
    assert isinstance(mine, Principal)
    assert isinstance(yours, Principal)
    if any(one[name] != other[name] for name in ("release", "target", "params", "before")):
        return False
    apart = any(each["subject"] or each["in_conversation"] for each in (one, other))
    if mine.key_id == yours.key_id:
        # A conversation has its texts in the prompt; the same key may repeat itself.
        return one["subject"] == other["subject"]
    if apart or share == "key":
        return False
    return share == "service" or (bool(mine.team) and mine.team == yours.team)


@given(
    first=ASKED,
    second=ASKED,
    share=st.sampled_from(["key", "team", "service"]),
    semantic=st.booleans(),
    together=st.booleans(),
)
def test_an_answer_never_leaves_its_scope(
    first: dict[str, object],
    second: dict[str, object],
    share: Share,
    semantic: bool,
    together: bool,
) -> None:
    async def check() -> None:
        number = iter(range(10))

        async def says() -> Deltas:
            mine = next(number)
            await asyncio.sleep(0)
            yield Delta(text=f"answer {mine}")
            yield Delta(finish_reason="stop")

        model = model_of(ScriptedBackend(says))
        cache = AnswerCache(
            CacheSettings(
                share=share,
                semantic=SemanticSettings(model="m", threshold=0.5) if semantic else None,
            )
        )
        asked: Sequence[Question] = [
            question(model, embed=SAME, **each)  # type: ignore[arg-type]  # as drawn
            for each in (first, second)
        ]
        if together:
            heard = await asyncio.gather(*(listen(cache, each) for each in asked))
        else:
            heard = [await listen(cache, each) for each in asked]
        if heard[0].text == heard[1].text:
            assert shares(first, second, share)
        elif first["text"] == second["text"] and not together:
            assert not shares(first, second, share) or (
                first["in_conversation"] != second["in_conversation"] and share != "key"
            )

    asyncio.run(check())
