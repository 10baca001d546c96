"""A whole service in this process: its model is a server that speaks OpenAI's wire, its tools are real."""

import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from headrace.access.principal import Principal
from headrace.pipeline.service import Platform
from headrace.pipeline.turn import Turn
from headrace.server.boot import open_platform
from headrace.telemetry.trace import Span
from headrace.types import Delta, Message, Params
from tests.upstreams.openai import KEY, MODEL, FakeOpenAI
from tests.upstreams.said import Said, Tool
from tests.upstreams.server import Answer, Asked, Server, json_answer, serving

__all__ = ["ADA", "Rig", "called", "opened", "weather"]

ADA = Principal("key-ada", "ada", "user")
SERVICE = """\
models:
  chat:
    deployments:
      - {{backend: openai, model: {model}, base_url: "{llm}", api_key: "{key}", price: {{input: 1, output: 1}}{model_more}}}
pipeline:
{before}  - generate{generate}
{after}tools:
{tools}
"""


def called(name: str, arguments: str = "{}", call: str = "call_1", text: str = "") -> Said:
    """A round that calls one function."""
    return Said(
        (text,) if text else (), tools=(Tool(call, name, (arguments,)),), finish_reason="tool_calls"
    )


def weather(*, more: str = "") -> str:
    """The declaration of an endpoint of the rig's own server."""
    return f"""\
  weather:
    description: The weather of a city.
    http:
      url: API/weather/{{city}}?units=metric
      headers: {{x-key: s3cret-of-the-weather}}
      allow: [127.0.0.1]
      parameters:
        type: object
        properties: {{city: {{type: string}}, days: {{type: integer, minimum: 1}}}}
        required: [city]
        additionalProperties: false
{more}"""


WEATHER = weather()


@dataclass
class Rig:
    """The service, the model's server and the endpoint's."""

    llm: Server
    api: Server
    rounds: deque[Said]
    platform: Platform | None = None
    deltas: list[Delta] = field(default_factory=list)

    async def ask(
        self,
        text: str = "What is the weather in Graz?",
        *,
        params: Params | None = None,
        stream: bool = False,
        principal: Principal = ADA,
        template: str | None = None,
        conversation: str | None = None,
    ) -> Turn:
        assert self.platform is not None
        turn = Turn(
            principal=principal,
            messages=[Message(role="user", content=text)],
            params=params or Params(),
            stream=stream,
            template=template,
            conversation=conversation,
        )
        self.deltas = []
        async with aclosing(self.platform.service.pipeline.answer(turn)) as deltas:
            async for delta in deltas:
                self.deltas.append(delta)
        return turn

    def asked(self, at: int) -> dict[str, object]:
        """What the model was asked in a round."""
        return self.llm.asked[at].json()

    def messages(self, at: int) -> list[dict[str, object]]:
        return msgspec.convert(self.asked(at)["messages"], list[dict[str, object]])

    def result(self, at: int = 1) -> str:
        """The last tool message that the model read in a round."""
        tools = [each for each in self.messages(at) if each["role"] == "tool"]
        return str(tools[-1]["content"])

    @staticmethod
    def spans(turn: Turn, name: str = "execute_tool") -> list[Span]:
        return [each for each in turn.trace.spans if each.name == name]

    def answer(self, asked: Asked) -> Answer:
        said = self.rounds.popleft() if len(self.rounds) > 1 else self.rounds[0]
        return FakeOpenAI([said]).answer(asked)


@asynccontextmanager
async def opened(
    root: Path,
    rounds: Sequence[Said],
    *,
    tools: str = WEATHER,
    generate: str = ": {tools: [weather]}",
    before: str = "",
    after: str = "",
    model: str = "",
    deployment: str | None = None,
    more: str = "",
    prepared: Callable[[], object] = bool,
) -> AsyncIterator[Rig]:
    """The service, its model giving one of `rounds` after the other, the last for ever.

    Args:
        deployment: in place of the one that speaks OpenAI's wire, with `{root}` for its address.
        prepared: what is to be done once the files are there.
        tools: the section, with `API` for the address of the endpoint's server.
    """
    home = root / "home"
    home.mkdir(mode=0o700)
    with serving() as llm, serving() as api:
        rig = Rig(llm, api, deque(rounds))
        llm.on("POST", "/v1/*", rig.answer)
        api.on("GET", "/weather/*", lambda asked: json_answer({"sky": "clear", "celsius": 21}))
        service = SERVICE
        if deployment is not None:
            before_it, _, behind_it = SERVICE.partition("      - {{")
            service = f"{before_it}      - {deployment}\n{behind_it.partition(chr(10))[2]}"
        text = service.format(
            model=MODEL,
            key=KEY,
            llm=llm.url("/v1"),
            root=llm.url(),
            generate=generate,
            model_more=f", {model}" if model else "",
            before=before,
            after=after,
            tools=tools.replace("API", api.url()),
        )
        (root / "headrace.yaml").write_text(text + more)
        prepared()
        environ = {**os.environ, "HEADRACE_HOME": str(home)}
        async with open_platform(root, environ) as platform:
            rig.platform = platform
            yield rig
