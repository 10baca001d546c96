"""Which events come, in which order, for every kind of answer: on a real connection."""

import json
from typing import Any, TypeAlias

import httpx
import openai
import pytest
from openai import OpenAI

from headrace.types import Delta, FunctionDelta, TokenLogprob, ToolCallDelta
from tests.gateway.scripted import script
from tests.running import ServiceProcess, wait_for

pytestmark = pytest.mark.service

Json: TypeAlias = dict[str, Any]  # as it came over the wire

END = Delta(finish_reason="stop")


@pytest.fixture(scope="module")
def client(scripted: ServiceProcess) -> OpenAI:
    return OpenAI(base_url=f"{scripted.url}/v1", api_key=scripted.key, max_retries=0)


def events_of(service: ServiceProcess, text: str, **fields: object) -> list[Json]:
    """The events of a streamed response, checked for what all streams have in common."""
    body = {"input": text, "stream": True, **fields}
    with service.client() as http:
        answer = http.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    events: list[Json] = []
    for block in answer.text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[0]["response"]["status"] == "in_progress"
    assert events[0]["response"]["usage"] is None
    return events


def kinds_of(events: list[Json]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events[2:]]


def call_piece(index: int, arguments: str, **head: str) -> ToolCallDelta:
    if not head:
        return ToolCallDelta(index, function=FunctionDelta(arguments=arguments))
    function = FunctionDelta(name=head["name"], arguments=arguments)
    return ToolCallDelta(index, id=head["id"], type="function", function=function)


def test_text_comes_as_one_message_in_pieces(scripted: ServiceProcess) -> None:
    events = events_of(scripted, script(Delta(text="Hel"), Delta(text="lo, 世界"), END))
    assert kinds_of(events) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[2]["item"]["content"] == []
    assert [e["delta"] for e in events[4:6]] == ["Hel", "lo, 世界"]
    part = {"type": "output_text", "text": "Hello, 世界", "annotations": [], "logprobs": []}
    assert events[7]["part"] == part
    item = events[8]["item"]
    assert item["status"] == "completed"
    assert item["content"] == [part]
    done = events[-1]["response"]
    assert done["output"] == [item]
    assert done["usage"] == {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 6},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 27,
    }


def test_thoughts_are_an_item_of_their_own_that_ends_before_the_answer(
    scripted: ServiceProcess,
) -> None:
    lines = (Delta(reasoning="Hm"), Delta(reasoning="m."), Delta(text="Yes."), END)
    events = events_of(scripted, script(*lines))
    assert kinds_of(events)[:8] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
    ]
    thought, said = events[-1]["response"]["output"]
    assert thought["type"] == "reasoning"
    assert thought["content"] == [{"type": "reasoning_text", "text": "Hmm."}]
    assert thought["summary"] == []
    assert said["content"][0]["text"] == "Yes."


def test_calls_stream_side_by_side_with_the_text_before_them(scripted: ServiceProcess) -> None:
    events = events_of(
        scripted,
        script(
            Delta(text="I look."),
            Delta(tool_calls=[call_piece(0, "", id="call_a", name="find")]),
            Delta(tool_calls=[call_piece(0, '{"q":')]),
            Delta(tool_calls=[call_piece(1, "{}", id="call_b", name="now")]),
            # What a filter held back until the end.
            Delta(text=" Wait.", tool_calls=[call_piece(0, "1}")], finish_reason="tool_calls"),
        ),
        tools=[{"type": "function", "name": "find", "parameters": {}}],
    )
    assert kinds_of(events) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.delta",
        "output_text.delta",
        "function_call_arguments.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    said, first, second = events[-1]["response"]["output"]
    assert said["content"][0]["text"] == "I look. Wait."
    assert (first["call_id"], first["name"], first["arguments"]) == ("call_a", "find", '{"q":1}')
    assert (second["call_id"], second["name"], second["arguments"]) == ("call_b", "now", "{}")
    assert {e["output_index"] for e in events if "arguments" in e["type"]} == {1, 2}


def test_a_refusal_is_a_part_of_its_own(scripted: ServiceProcess) -> None:
    events = events_of(scripted, script(Delta(refusal="I "), Delta(refusal="won't."), END))
    assert kinds_of(events) == [
        "output_item.added",
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    content = events[-1]["response"]["output"][0]["content"]
    assert content == [{"type": "refusal", "refusal": "I won't."}]


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_an_answer_that_was_cut_is_incomplete_and_says_why(
    scripted: ServiceProcess, finish_reason: str, reason: str
) -> None:
    text = script(Delta(text="Once"), {"finish_reason": finish_reason})
    response = events_of(scripted, text)[-1]
    assert response["type"] == "response.incomplete"
    assert response["response"]["incomplete_details"] == {"reason": reason}
    assert response["response"]["output"][0]["status"] == "incomplete"
    with scripted.client() as http:
        whole = http.post("/v1/responses", json={"input": text}).json()
    assert whole["status"] == "incomplete"
    assert whole["incomplete_details"] == {"reason": reason}
    assert whole["completed_at"] is None


def test_an_empty_answer_is_an_empty_message(scripted: ServiceProcess) -> None:
    events = events_of(scripted, script(END))
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == ""


def test_a_stream_that_breaks_off_ends_with_an_error_and_a_failed_response(
    scripted: ServiceProcess,
) -> None:
    events = events_of(scripted, script(Delta(text="Once"), {"fail": "unavailable"}))
    assert kinds_of(events)[-2:] == ["error", "failed"]
    assert events[-2]["code"] == "model_unavailable"
    assert events[-2]["message"] == "the model broke off"
    failed = events[-1]["response"]
    assert failed["status"] == "failed"
    assert failed["error"] == {"code": "server_error", "message": "the model broke off"}
    assert failed["output"][0]["content"][0]["text"] == "Once"


def test_a_failure_before_the_first_event_is_a_status(scripted: ServiceProcess) -> None:
    body = {"input": script({"fail": "unavailable"}), "stream": True}
    with scripted.client() as http:
        answer = http.post("/v1/responses", json=body)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "model_unavailable"


LOGPROB = TokenLogprob("Hi", -0.5, top_logprobs=[TokenLogprob("Hey", -1.5, bytes=[72, 101, 121])])


@pytest.mark.parametrize(
    "lines",
    [
        (Delta(text="Hel"), Delta(text="lo"), END),
        (Delta(reasoning="Hm."), Delta(text="Yes."), END),
        (Delta(text="Hi", logprobs=[LOGPROB]), END),
        (Delta(refusal="No."), END),
        (Delta(text="Perhaps "), Delta(refusal="not."), END),
        (Delta(tool_calls=[call_piece(0, "{}", id="c", name="f")], finish_reason="tool_calls"),),
        (END,),
    ],
    ids=["text", "reasoning", "logprobs", "refusal", "both", "call", "nothing"],
)
def test_a_whole_response_is_what_the_stream_ends_with(
    scripted: ServiceProcess, lines: tuple[Delta, ...]
) -> None:
    fields: Json = {
        "input": script(*lines),
        "instructions": "Be brief.",
        "include": ["message.output_text.logprobs"],
        "metadata": {"shop": "7"},
        "temperature": 0.5,
    }
    streamed = events_of(scripted, str(fields.pop("input")), **fields)[-1]["response"]
    with scripted.client() as http:
        whole = http.post("/v1/responses", json={"input": script(*lines), **fields}).json()
    for response in (streamed, whole):
        for item in response["output"]:
            assert item.pop("id")
        del response["id"], response["created_at"], response["completed_at"]
    assert whole == streamed
    assert whole["metadata"] == {"shop": "7"}
    assert whole["store"] is True


def test_the_sdk_reads_a_call_and_a_thought(client: OpenAI) -> None:
    with client.responses.stream(
        model="scripted",
        input=script(
            Delta(reasoning="Hm."),
            Delta(tool_calls=[call_piece(0, '{"q"', id="call_a", name="find")]),
            Delta(tool_calls=[call_piece(0, ":1}")], finish_reason="tool_calls"),
        ),
        tools=[{"type": "function", "name": "find", "parameters": {}, "strict": False}],
    ) as stream:
        seen = [e.snapshot for e in stream if e.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    assert seen == ['{"q"', '{"q":1}']
    thought, call = final.output
    assert thought.type == "reasoning"
    assert call.type == "function_call"
    assert call.arguments == '{"q":1}'


def test_the_sdk_sees_the_end_of_a_stream_that_broke_off(client: OpenAI) -> None:
    stream = client.responses.create(
        model="scripted", input=script(Delta(text="Once"), {"fail": "throttled"}), stream=True
    )
    *_, error, failed = list(stream)
    assert error.type == "error"
    assert error.code == "rate_limit_exceeded"
    assert failed.type == "response.failed"
    assert failed.response.error is not None
    assert failed.response.error.code == "rate_limit_exceeded"


def test_what_is_asked_reaches_the_model_in_its_words(client: OpenAI) -> None:
    answer = client.responses.create(
        model="scripted",
        instructions="Be brief.",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Look"}]},
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Hm"}],
            },
            {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "nothing"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "And?"},
                    {
                        "type": "input_image",
                        "detail": "low",
                        "image_url": "data:image/png;base64,AA",
                    },
                ],
            },
        ],
        tools=[
            {"type": "function", "name": "find", "parameters": {"type": "object"}, "strict": True},
            {"type": "function", "name": "other", "parameters": {}, "strict": False},
        ],
        tool_choice={
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "find"}],
        },
        text={"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}},
        reasoning={"effort": "low"},
        max_output_tokens=99,
        temperature=0.5,
        parallel_tool_calls=False,
        store=False,
    )
    call = json.loads(answer.output_text)
    assert call["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look"},
        {
            "role": "assistant",
            "reasoning_content": "Hm",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "nothing"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And?"},
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64,AA", "detail": "low"},
                },
            ],
        },
    ]
    params = call["params"]
    assert [tool["function"]["name"] for tool in params.pop("tools")] == ["find"]
    assert params == {
        "temperature": 0.5,
        "max_tokens": 99,
        "n": 1,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "object"}},
        },
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "extra": {"reasoning_effort": "low"},
    }


FUNCTION = {"type": "function", "name": "f", "parameters": {}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
        ({"input": [{"role": "wizard", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_video"}]}]},
            "input[0].content[0].type",
        ),
        ({"tools": [FUNCTION, {"type": "web_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "mcp"}}, "tool_choice.type"),
        ({"tools": [FUNCTION], "tool_choice": "perhaps"}, "tool_choice"),
        ({"background": True}, "background"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"prompt": {"id": "p", "version": "2"}}, "prompt.version"),
        ({"include": ["everything"]}, "include[0]"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"truncation": "some"}, "truncation"),
        ({"user": f"s_{'0a' * 16}"}, "user"),
        ({"conversation": ""}, "conversation"),
        ({"conversation": "a", "previous_response_id": "resp_1"}, "previous_response_id"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_cannot_be_done_is_refused_by_its_name(
    scripted: ServiceProcess, fields: Json, param: str
) -> None:
    with scripted.client() as http:
        answer = http.post("/v1/responses", json={"input": "Hi", **fields})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


def test_a_response_is_continued_by_its_id(client: OpenAI) -> None:
    first = client.responses.create(model="scripted", input=script(Delta(text="Hello Ada"), END))
    second = client.responses.create(
        model="scripted",
        instructions="Be kind.",
        input="And now?",
        previous_response_id=first.id,
    )
    messages = json.loads(second.output_text)["messages"]
    assert [each["role"] for each in messages] == ["system", "user", "assistant", "user"]
    assert messages[2]["content"] == "Hello Ada"
    third = client.responses.create(
        model="scripted", input="Still?", previous_response_id=second.id
    )
    messages = json.loads(third.output_text)["messages"]
    assert [each["content"] for each in messages if each["role"] == "user"][1:] == [
        "And now?",
        "Still?",
    ]


def test_an_earlier_response_is_the_beginning_of_a_branch(client: OpenAI) -> None:
    first = client.responses.create(model="scripted", input=script(Delta(text="One"), END))
    client.responses.create(model="scripted", input="Two", previous_response_id=first.id)
    branch = client.responses.create(model="scripted", input="Other", previous_response_id=first.id)
    further = client.responses.create(
        model="scripted", input="Further", previous_response_id=branch.id
    )
    for response, asked in ((branch, ["Other"]), (further, ["Other", "Further"])):
        messages = json.loads(response.output_text)["messages"]
        said = [each["content"] for each in messages if each["role"] == "user"]
        assert said[1:] == asked
        assert messages[1]["content"] == "One"


def test_a_call_is_answered_by_its_output_alone(client: OpenAI) -> None:
    lines = (Delta(tool_calls=[call_piece(0, "{}", id="call_a", name="f")]),)
    first = client.responses.create(
        model="scripted", input=script(*lines, Delta(finish_reason="tool_calls"))
    )
    second = client.responses.create(
        model="scripted",
        input=[
            {"type": "function_call_output", "call_id": "call_a", "output": "42"},
            {"role": "user", "content": "So?"},
        ],
        previous_response_id=first.id,
    )
    messages = json.loads(second.output_text)["messages"]
    assert [each["role"] for each in messages] == ["user", "assistant", "tool", "user"]
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"] == "call_a"


def test_what_is_not_stored_is_continued_by_nobody(client: OpenAI) -> None:
    first = client.responses.create(model="scripted", input="Secret", store=False)
    assert first.to_dict()["store"] is False
    with pytest.raises(openai.NotFoundError, match="not stored") as caught:
        client.responses.create(model="scripted", input="More", previous_response_id=first.id)
    assert caught.value.param == "previous_response_id"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_an_unstored_response_goes_on_from_a_stored_one(client: OpenAI) -> None:
    first = client.responses.create(model="scripted", input=script(Delta(text="One"), END))
    for _ in range(2):
        aside = client.responses.create(
            model="scripted", input="Aside", previous_response_id=first.id, store=False
        )
        messages = json.loads(aside.output_text)["messages"]
        assert [each["content"] for each in messages[1:]] == ["One", "Aside"]


def test_a_conversation_goes_by_its_name(client: OpenAI) -> None:
    first = client.responses.create(model="scripted", input="Eins", conversation="Gespräch 1")
    assert first.conversation is not None
    assert first.conversation.id == "Gespräch 1"
    second = client.responses.create(
        model="scripted", input="Zwei", conversation={"id": "Gespräch 1"}
    )
    third = client.responses.create(model="scripted", input="Drei", previous_response_id=second.id)
    messages = json.loads(third.output_text)["messages"]
    said = [each["content"] for each in messages if each["role"] == "user"]
    assert said == ["Eins", "Zwei", "Drei"]


def test_a_stored_response_is_given_once_more(client: OpenAI) -> None:
    lines = (Delta(reasoning="Hm."), Delta(text="Yes."))
    first = client.responses.create(model="scripted", input=script(*lines, END))
    again = client.responses.retrieve(first.id)
    assert again.output == first.output
    assert again.status == "completed"
    assert again.usage is not None
    assert again.usage.total_tokens == 27
    assert again.created_at == first.created_at


def test_nobody_sees_or_continues_the_response_of_another_key(
    client: OpenAI, scripted: ServiceProcess
) -> None:
    made = scripted.run("keys", "create", "stranger", "--json")
    key = json.loads(made.stdout)["secret"]
    with scripted.client() as http:
        wait_for(lambda: _lists_models(http, key))
    first = client.responses.create(model="scripted", input="Mine")
    with OpenAI(base_url=f"{scripted.url}/v1", api_key=key, max_retries=0) as stranger:
        with pytest.raises(openai.NotFoundError):
            stranger.responses.retrieve(first.id)
        with pytest.raises(openai.NotFoundError):
            stranger.responses.create(
                model="scripted", input="Yours", previous_response_id=first.id
            )


@pytest.mark.parametrize("response_id", ["resp_1", f"resp_{'0' * 32}", f"resp_{'0' * 32}_*"])
def test_an_unknown_response_is_not_found(client: OpenAI, response_id: str) -> None:
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response_id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="scripted", input="x", previous_response_id=response_id)


def test_a_single_response_is_not_deleted_and_the_hint_says_what_is(client: OpenAI) -> None:
    first = client.responses.create(model="scripted", input="Hi")
    with pytest.raises(openai.APIStatusError, match="'store': false") as caught:
        client.responses.delete(first.id)
    assert caught.value.status_code == 405


def test_a_client_that_leaves_ends_its_stream(scripted: ServiceProcess) -> None:
    body = {"input": script({"text": "la", "endless": True}), "stream": True}
    with (
        scripted.client() as http,
        http.stream("POST", "/v1/responses", json=body) as answer,
    ):
        trace = answer.headers["x-headrace-trace"]
        seen = ""
        for piece in answer.iter_text():
            seen += piece
            if "output_text.delta" in seen:
                break
    with scripted.client() as http:
        shown = _until_stored(http, f"/v1/responses/resp_{trace.replace('-', '')}")
    assert shown["status"] == "incomplete"
    assert shown["output"][0]["content"][0]["text"].startswith("lala")


def _lists_models(http: httpx.Client, key: str) -> bool:
    headers = {"authorization": f"Bearer {key}"}
    return http.get("/v1/models", headers=headers).status_code == 200


def _until_stored(http: httpx.Client, path: str) -> Json:
    wait_for(lambda: http.get(path).status_code == 200)
    found: Json = http.get(path).json()
    return found
