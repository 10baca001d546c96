"""What a batch will read, write and cost, before it begins: roughly, and rather too much."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from headrace.config.load import load_service
from headrace.config.model import ServiceConfig
from headrace.models.facts import Facts

__all__ = ["Estimate", "estimate"]

CHARS_PER_TOKEN = 4
USUAL_ANSWER = 256
"""Tokens of an answer to a request that sets no limit."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """For all rows together."""

    rows: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    """None: nobody has said what one of the models costs."""


class _Body(msgspec.Struct):
    model: str | None = None
    messages: msgspec.Raw = msgspec.Raw(b"")
    prompt: msgspec.Raw = msgspec.Raw(b"")
    input: msgspec.Raw = msgspec.Raw(b"")
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    n: int | None = None


class _Line(msgspec.Struct):
    url: str = ""
    body: _Body = msgspec.field(default_factory=_Body)


def estimate(source: Path, root: Path, environ: Mapping[str, str]) -> Estimate:
    """Look through a file of requests; lines that are none count nothing.

    Raises:
        ConfigError: the service's headrace.yaml is wrong.
    """
    config = load_service(root, environ)
    prices = _Prices(config, environ)
    decode = msgspec.json.Decoder(_Line).decode
    rows = prompts = answers = 0
    usd: float | None = 0.0
    with source.open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            rows += 1
            try:
                read = decode(line)
            except msgspec.DecodeError:
                continue
            body = read.body
            said = len(bytes(body.messages)) + len(bytes(body.prompt)) + len(bytes(body.input))
            asked = body.max_tokens or body.max_completion_tokens or body.max_output_tokens
            answer = (asked or USUAL_ANSWER) * (body.n or 1)
            if read.url == "/v1/embeddings":
                answer = 0
            prompts += -(-said // CHARS_PER_TOKEN)
            answers += answer
            cost = prices.usd(body.model, said / CHARS_PER_TOKEN, answer)
            usd = None if usd is None or cost is None else usd + cost
    return Estimate(rows=rows, prompt_tokens=prompts, completion_tokens=answers, usd=usd)


class _Prices:
    """What each model of the service costs."""

    def __init__(self, config: ServiceConfig, environ: Mapping[str, str]) -> None:
        self._config = config
        self._facts = Facts(config, environ)
        self._known: dict[str, tuple[float, float] | None] = {}

    def usd(self, name: str | None, prompt: float, answer: float) -> float | None:
        model = self._config.models.get(name or next(iter(self._config.models)))
        if model is None:
            return None
        if model.name not in self._known:
            prices = [self._facts.price(model, at) for at in range(len(model.deployments))]
            told = [(each.input, each.output) for each in prices if each is not None]
            self._known[model.name] = max(told) if len(told) == len(prices) else None
        rates = self._known[model.name]
        return None if rates is None else (prompt * rates[0] + answer * rates[1]) / 1e6
