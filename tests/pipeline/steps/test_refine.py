from pathlib import Path

import msgspec
import pytest

from headrace.access.principal import Principal
from headrace.pipeline.steps.refine import RefineSettings, RefineStep
from headrace.pipeline.turn import Turn, TurnKind
from headrace.types import FinishReason, Message, Params

DOCS = Path(__file__).parents[3] / "docs" / "steps" / "refine.md"


def turn_of(
    question: str = "Tell me something.",
    *,
    language: str | None = None,
    kind: TurnKind = "chat",
    params: Params | None = None,
) -> Turn:
    return Turn(
        principal=Principal(key_id="k1", name="test", role="user"),
        messages=[Message(role="user", content=question)],
        language=language,
        kind=kind,
        params=params or Params(),
    )


def refined(
    answer: str,
    turn: Turn | None = None,
    *,
    reason: FinishReason | None = "stop",
    **settings: object,
) -> str:
    turn = turn or turn_of()
    step = RefineStep(msgspec.convert(settings, RefineSettings))
    text_filter = step.filter(turn, "text", 0)
    assert text_filter is not None
    return text_filter.push(answer) + text_filter.finish(reason)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes.<|im_end|>", "Yes."),
        ("<|im_start|>assistant\nYes.<|eot_id|>", "Yes."),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nYes.", "Yes."),
        ("<s> Yes.</s>", "Yes."),
        ("Assistant: Yes.", "Yes."),
        (" **Assistant:** Yes.", "Yes."),
        ("### Response:\nYes.", "Yes."),
        ("助手：好的。<|endoftext|>", "好的。"),
        ("Yes.<｜end▁of▁sentence｜>", "Yes."),
        ("Yes.<|im_end|>\n<|im_start|>user\nAnd now?<|im_end|>", "Yes."),
        ("Yes. [INST] And now? [/INST] No.", "Yes."),
    ],
)
def test_template_tokens_go(answer: str, expected: str) -> None:
    assert refined(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "The token `<|im_end|>` ends a turn.",
        "Like this:\n```\n<|im_start|>user\nHi<|im_end|>\n```\nDone.",
        "This is <s>wrong</s> right.",
        "a <b> c, x[INT], <|unknown|>, 1 < 2",
        "My assistant: a robot. Assistant: no label here.",
    ],
)
def test_what_only_looks_like_a_token_stays(answer: str) -> None:
    assert refined(answer) == answer


def test_a_turn_the_model_invents_ends_generation() -> None:
    turn = turn_of()
    refined("Yes.<|im_start|>user\nmore", turn)
    assert turn.stop_generation
    assert turn.state["refine"] == {"template_tokens": 1, "next_turn": 1}


SENTENCE = "The cat sat on the mat and looked around the room. "


def test_a_looping_sentence_comes_no_more_often_than_allowed() -> None:
    turn = turn_of()
    assert refined("Once. " + SENTENCE * 50, turn) == ("Once. " + SENTENCE * 4).rstrip()
    assert turn.stop_generation
    assert turn.state["refine"] == {"loop": 1}


@pytest.mark.parametrize("repeats", [2, 3, 6])
def test_how_often_is_a_setting(repeats: int) -> None:
    paragraph = SENTENCE + "Then it yawned, turned twice on its cushion, and slept until noon. "
    assert refined("Once. " + paragraph * 50, max_repeats=repeats).count("cat") == repeats


@pytest.mark.parametrize(
    "unit",
    [
        "ha ",
        "我想吃饭。",
        "This line comes again.\n",
        "word " * 150,
        "First this.\nThen that, they said.\n\n",
        "ไปเที่ยวกัน ",
    ],
)
def test_loops_of_any_unit_end(unit: str) -> None:
    turn = turn_of()
    answer = refined("Well then. " + unit * 2000, turn)
    assert len(answer) < 6 * len(unit) + 250
    assert turn.stop_generation


@pytest.mark.parametrize(
    "answer",
    [
        SENTENCE * 4 + "Then it slept.",
        "Row, row, row your boat. " * 3 + "Life is but a dream.",
        "Ha ha ha ha ha ha ha!",
        "```\n" + "x = 0\n" * 200 + "```",
        "| a | b |\n|---|---|\n" + "| 0 | 0 |\n" * 15 + "| 1 | 0 |",
        "- [ ]\n" * 20 + "- [x]",
        "Chapter 1 " + "." * 200 + " 5",
        "-" * 120 + "\nEnd",
    ],
)
def test_repetition_that_may_be_meant_stays(answer: str) -> None:
    turn = turn_of()
    assert refined(answer, turn) == answer
    assert not turn.stop_generation


@pytest.mark.parametrize("question", ["Write it 20 times", "请重复二十遍", "Wiederhole das bitte"])
def test_who_asks_for_repetition_gets_it(question: str) -> None:
    answer = (SENTENCE * 20).rstrip()
    assert refined(answer, turn_of(question)) == answer


def test_loops_can_be_let_through() -> None:
    assert refined(SENTENCE * 50, max_repeats=0) == (SENTENCE * 50).rstrip()


def test_generation_goes_on_while_another_choice_needs_it() -> None:
    turn = turn_of(params=Params(n=2))
    refined(SENTENCE * 50, turn)
    assert not turn.stop_generation


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("I saw the the dog.", "I saw the dog."),
        ("It is a a  a piece of of cake.", "It is a piece of cake."),
    ],
)
def test_doubled_words_go(answer: str, expected: str) -> None:
    assert refined(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "She said that that had had an effect.",
        "The The were a band; the theatre, a apple.",
        'You wrote "the the" here, and `the the` there.',
        "Look at the\nthe end.",
    ],
)
def test_doubled_words_that_may_be_meant_stay(answer: str) -> None:
    assert refined(answer) == answer


def test_doubled_words_stay_in_other_languages_and_when_asked_about() -> None:
    answer = "I saw the the dog."
    assert refined(answer, turn_of(language="nl")) == answer
    assert refined(answer, turn_of("Is 'I see the the dog' right?")) == answer
    assert refined(answer, doubled_words=False) == answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Here:\n```python\nprint(1)", "Here:\n```python\nprint(1)\n```"),
        ("Here:\n~~~\nx\n", "Here:\n~~~\nx\n~~~"),
        ("Here:\n````md\n```\nx\n```\n", "Here:\n````md\n```\nx\n```\n````"),
        ("1. See:\n   ```\n   x\n   ```\n2. End", "1. See:\n   ```\n   x\n   ```\n2. End"),
        ("a ```inline``` b", "a ```inline``` b"),
        ("```inline``` b", "```inline``` b"),
        ("x ``` y", "x ``` y"),
    ],
)
def test_an_open_code_fence_is_closed(answer: str, expected: str) -> None:
    assert refined(answer, reason="length") == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("\n\n  Yes. \n\n", "Yes."),
        ("a\n\n\n\n\n\nb", "a\n\n\nb"),
        ("a   \nb \nc", "a  \nb\nc"),
        ("a\n  - b\n    - c", "a\n  - b\n    - c"),
        ("\n    code = 1\n    more", "    code = 1\n    more"),
        ("```\na  \n\n\n\n\n\nb\n```\n", "```\na  \n\n\n\n\n\nb\n```"),
    ],
)
def test_whitespace_is_tidied(answer: str, expected: str) -> None:
    assert refined(answer) == expected


def test_a_completion_keeps_its_edges() -> None:
    assert refined(" Paris.\n", turn_of(kind="completion")) == " Paris.\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("One. Two. Thr", "One. Two."),
        ("一。二。三", "一。二。"),
        ("Intro:\n\n1. One.\n2. Two.\n3.", "Intro:\n\n1. One.\n2. Two."),
        ("One. Use `foo.bar` now. Then `ba", "One. Use `foo.bar` now."),
        ("One. Two!", "One. Two!"),
        ("One sentence only, never", "One sentence only, never"),
        ("Like so:\n```\nfoo(", "Like so:\n```\nfoo(\n```"),
    ],
)
def test_a_sentence_cut_by_length_can_be_dropped(answer: str, expected: str) -> None:
    assert refined(answer, reason="length", drop_unfinished=True) == expected
    assert refined(answer, reason="stop", drop_unfinished=True).startswith(answer)


@pytest.mark.parametrize(
    ("language", "answer", "expected"),
    [
        ("en", 'He said "no", it\'s 5" wide.', 'He said “no”, it’s 5" wide.'),
        ("de", 'Er sagte "nein".', "Er sagte „nein“."),
        ("fr", 'Il dit "non" : pourquoi?', "Il dit «\u202fnon\u202f» : pourquoi\u202f?"),
        ("fr", "Voir http://a.fr à 12:30 !", "Voir http://a.fr à 12:30 !"),
        ("zh", "我用Python3写代码", "我用 Python3 写代码"),
        ("zh", "见https://a.cn/路径x和`a中b`", "见 https://a.cn/路径x和`a中b`"),
        ("en", '<a href="x">"y"</a> `"z"`', '<a href="x">“y”</a> `"z"`'),
        ("ja", '"はい"', '"はい"'),
    ],
)
def test_typography_follows_the_language(language: str, answer: str, expected: str) -> None:
    assert refined(answer, turn_of(language=language), typography="auto") == expected
    assert refined(answer, turn_of(language=language)) == answer


@pytest.mark.parametrize("kind", ["json_object", "json_schema"])
def test_json_is_not_touched(kind: str) -> None:
    step = RefineStep(RefineSettings())
    assert step.filter(turn_of(params=Params(response_format={"type": kind})), "text", 0) is None
    assert step.filter(turn_of(), "arguments", 0) is None
    assert step.filter(turn_of(), "reasoning", 0) is None


def test_an_answer_in_order_changes_nothing() -> None:
    turn = turn_of()
    answer = (
        "# Rice\n\n1. Wash it.\n2. Cook it for *ten* minutes.\n\n```sh\nrice --cook\n```\n\nEnjoy!"
    )
    assert refined(answer, turn) == answer
    assert turn.state["refine"] == {}


@pytest.mark.parametrize("field", [field.name for field in msgspec.structs.fields(RefineSettings)])
def test_every_setting_is_in_the_docs(field: str) -> None:
    assert f"`{field}`" in DOCS.read_text("utf-8")


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", [" ", "\t", "\n ", " \n", "\r"], ids=repr)
@pytest.mark.parametrize("said", ["", "So"])
def test_endless_whitespace_takes_linear_time(said: str, unit: str) -> None:
    # A small model that lost its way writes thousands of spaces, and then goes on.
    assert refined(said + unit * 100_000 + "x", max_repeats=0).endswith("x")


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", ["<", "[", "<|im_", "the the "], ids=repr)
def test_a_hostile_answer_in_one_piece_takes_linear_time(unit: str) -> None:
    # A model that does not stream says all of it at once.
    assert refined("So " + unit * (400_000 // len(unit)) + "x", max_repeats=0).startswith("So")
