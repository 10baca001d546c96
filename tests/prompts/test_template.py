"""What a template makes of a conversation."""

from collections.abc import Callable

import pytest

from headrace.errors import InvalidRequest
from headrace.prompts.template import PromptTemplate, Rendered
from headrace.types import Message, Part

Load = Callable[[str], PromptTemplate]


def rendered(
    template: PromptTemplate, language: str | None = None, **variables: object
) -> Rendered:
    values = template.variables.fill(variables, {})
    return template.render(values, language=language, today="2031-02-03")


def said(messages: list[Message]) -> list[tuple[str, str]]:
    return [(each.role, each.text()) for each in messages]


HI = [Message(role="user", content="Hi")]


def test_the_system_prompt_comes_first_then_the_examples(template_from: Load) -> None:
    template = template_from(
        "messages: {system: Be kind.}\nexamples: [{user: a, assistant: b}, {user: c, assistant: d}]"
    )
    assert said(rendered(template).around(HI)) == [
        ("system", "Be kind."),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
        ("user", "Hi"),
    ]


def test_the_clients_system_messages_follow_the_services_in_one_message(
    template_from: Load,
) -> None:
    template = template_from("messages: {system: Be kind.}")
    client = [
        Message(role="system", content="Talk like a pirate."),
        Message(role="developer", content=[{"type": "text", "text": "Short."}]),
        *HI,
        Message(role="system", content="Later."),
    ]
    assert said(rendered(template).around(client)) == [
        ("system", "Be kind.\n\nTalk like a pirate.\n\nShort."),
        ("user", "Hi"),
        ("system", "Later."),
    ]


def test_without_a_system_text_the_clients_messages_stay_as_they_are(template_from: Load) -> None:
    client = [Message(role="developer", content="Short."), *HI]
    template = template_from("description: none")
    assert rendered(template).around(client) == client


def test_a_users_braces_reach_the_model_as_they_are(template_from: Load) -> None:
    template = template_from(
        "variables: {shop: {}}\nmessages: {system: 'For {{ shop }}.', user: 'Q: {{ input }}'}"
    )
    messages = rendered(template, shop="{{ today }}").around(
        [Message(role="user", content="{{ shop }}{% raw %}")]
    )
    assert said(messages) == [("system", "For {{ today }}."), ("user", "Q: {{ shop }}{% raw %}")]


def test_marks_on_the_clients_instructions_stay(template_from: Load) -> None:
    template = template_from("messages: {system: Be kind.}")
    mark = {"cache_control": {"type": "ephemeral"}}
    own = Message(role="system", content=[{"type": "text", "text": "Long.", **mark}])
    short = Message(role="developer", content="Short.")
    (system, _) = rendered(template).around([short, own, *HI])
    assert system.content == [
        {"type": "text", "text": "Be kind."},
        {"type": "text", "text": "Short."},
        {"type": "text", "text": "Long.", **mark},
    ]
    plain = Message(role="system", content=[{"type": "text", "text": "Long."}])
    assert rendered(template).around([plain, *HI])[0].content == "Be kind.\n\nLong."


def test_every_user_message_gets_the_words_around_it(template_from: Load) -> None:
    template = template_from(
        "messages: {user: 'Q: {{ input }}'}\nexamples: [{user: a, assistant: b}]"
    )
    image: Part = {"type": "image_url", "image_url": {"url": "x"}}
    client = [
        Message(role="user", content="one"),
        Message(role="assistant", content="two"),
        Message(role="user", content=[image, {"type": "text", "text": "three"}]),
    ]
    messages = rendered(template).around(client)
    assert said(messages) == [
        ("user", "Q: a"),
        ("assistant", "b"),
        ("user", "Q: one"),
        ("assistant", "two"),
        ("user", "Q: three"),
    ]
    assert messages[-1].content == [{"type": "text", "text": "Q: three"}, image]
    assert client[0].content == "one"


def test_the_users_language_chooses_text_examples_and_marker(template_from: Load) -> None:
    template = template_from(
        """
        messages: {system: {zh: 你好。, default: Hello.}}
        reasoning: hidden
        examples:
          - {user: 二加二？, assistant: 四。, reasoning: 二加二等于四。, language: zh}
          - {user: "2 + 2?", assistant: "4", reasoning: Add., language: en}
        """
    )
    chinese = rendered(template, "zh")
    assert chinese.language == "zh"
    assert chinese.system.startswith("你好。\n\n")
    assert "“最终答案：”" in chinese.system
    assert said(list(chinese.examples))[-1] == ("assistant", "二加二等于四。\n最终答案：四。")
    english = rendered(template, "en")
    assert english.language == "default"
    assert '"Final answer:"' in english.system
    assert said(list(english.examples))[-1] == ("assistant", "Add.\nFinal answer: 4")


def test_a_thought_can_be_left_out_for_a_turn(template_from: Load) -> None:
    template = template_from(
        "reasoning: shown\nmessages: {system: S.}\n"
        "examples: [{user: a, assistant: b, reasoning: because}]"
    )
    plain = template.render({}, language=None, today="", thinking=False)
    assert said(plain.around(HI)) == [
        ("system", "S."),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "Hi"),
    ]


def test_language_and_today_may_be_used(template_from: Load) -> None:
    template = template_from("messages: {system: '{{ language }} {{ today }}'}")
    assert rendered(template, "zh").system == "zh 2031-02-03"


def test_words_of_ones_own_ask_for_the_thought(template_from: Load) -> None:
    template = template_from(
        "reasoning: {form: hidden, marker: '</think>', instruction: 'End with {{ marker }}'}"
    )
    assert rendered(template).system == "End with </think>"


def test_an_output_schema_becomes_the_response_format(template_from: Load) -> None:
    template = template_from("output: {schema: {type: object}}")
    assert template.params.response_format == {
        "type": "json_schema",
        "json_schema": {"name": "shop", "schema": {"type": "object"}, "strict": True},
    }


def test_values_that_do_not_fit_the_text_refuse_the_request(template_from: Load) -> None:
    template = template_from(
        "variables: {names: {type: list}}\nmessages: {system: '{{ names[1] }}'}"
    )
    with pytest.raises(InvalidRequest, match="cannot be rendered with these variables"):
        rendered(template, names=["Ada"])
