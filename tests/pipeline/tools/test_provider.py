"""The loop on a wire of another kind: Bedrock's, which cannot forbid a call once one was made."""

from pathlib import Path

import pytest

from tests.pipeline.tools.rig import opened
from tests.upstreams.bedrock import KEY_ID, REGION, SECRET, BedrockUpstream
from tests.upstreams.said import Said
from tests.upstreams.server import Answer, Asked

DEPLOYMENT = (
    f"{{{{backend: bedrock, model: us.anthropic.claude-sonnet-4-5-20250929-v1:0, "
    f'base_url: "{{root}}", control_url: "{{root}}", aws_region: {REGION}, '
    f'access_key_id: {KEY_ID}, secret_access_key: "{SECRET}"}}}}'
)


@pytest.mark.parametrize("obeys", [True, False])
async def test_where_a_call_cannot_be_forbidden_the_model_is_told_and_not_heard(
    tmp_path: Path, obeys: bool
) -> None:
    generate = ": {tools: [weather], max_rounds: 1}"
    async with opened(tmp_path, [Said()], generate=generate, deployment=DEPLOYMENT) as rig:
        fake = BedrockUpstream(rig.llm)
        call: dict[str, object] = {
            "toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Graz"}}
        }
        fake.content, fake.stop_reason = [call], "tool_use"
        converse = rig.llm.routes["POST", "/model/*"]

        def told_once(asked: Asked) -> Answer:
            if obeys and b"Answer now" in asked.body and asked.path.endswith("/converse"):
                fake.content, fake.stop_reason = [{"text": "Clear."}], "end_turn"
            return converse(asked)

        rig.llm.on("POST", "/model/*", told_once)
        turn = await rig.ask()
    _, last = [each for each in rig.llm.asked if each.path.endswith("/converse")]
    assert "Answer now" in last.body.decode()
    assert len(rig.api.asked) == 1
    words = "Clear." if obeys else "I could not find the answer in the steps that I may take."
    assert (turn.choices[0].text, turn.choices[0].finish_reason) == (words, "stop")
