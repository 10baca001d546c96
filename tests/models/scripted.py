"""A backend that does as the test says."""

from collections.abc import Callable, Sequence

from headrace.errors import HeadraceError, InvalidRequest, ModelUnavailable
from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.balance.settings import BalanceSettings
from headrace.models.deployment import Deployment, Runner
from headrace.models.model import Model
from headrace.types import Delta, Deltas, Message, Params, TextKind, Usage

CALL = Call([Message(role="user", content="Hi")], Params())
Script = Callable[[], Deltas]


class ScriptedBackend:
    """A backend whose calls go as the test says, in turn; the last one for ever."""

    provider = "scripted"
    context_tokens = 1024
    digest = "0" * 64
    rate_limits: RateLimits | None = None
    rtt_s: float | None = None
    capacity: int | None = None

    def __init__(self, *scripts: Script, comes_back: bool = True) -> None:
        self._scripts = list(scripts)
        self._comes_back = comes_back
        self.ready = True
        self.calls = 0
        self.waits: list[float] = []
        self.started = self.stopped = 0
        self.failure: Exception | None = None

    def script(self, *scripts: Script) -> None:
        """Go on with these."""
        self._scripts = list(scripts)

    async def start(self, progress: object = None) -> None:
        self.started += 1
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        self.stopped += 1

    def is_ready(self) -> bool:
        return self.ready

    async def wait_ready(self, timeout_s: float) -> bool:
        self.waits.append(timeout_s)
        self.ready = self._comes_back
        return self._comes_back

    def generate(self, call: Call) -> Deltas:
        self.calls += 1
        return self._scripts.pop(0)() if len(self._scripts) > 1 else self._scripts[0]()

    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        async for _ in self.generate(CALL):
            pass
        return Embeddings([[1.0] for _ in inputs], Usage(prompt_tokens=len(inputs)))

    async def listed(self) -> Sequence[ListedModel]:
        return ()

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        async for _ in self.generate(CALL):
            pass
        return len(messages)

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        return None


async def answers() -> Deltas:
    yield Delta(text="Hello")
    yield Delta(finish_reason="stop")


def raising(error: HeadraceError, *given: Delta) -> Script:
    """A call that fails after it has given these."""

    async def script() -> Deltas:
        for delta in given:
            yield delta
        raise error

    return script


fails = raising(ModelUnavailable("down"))
breaks_off = raising(ModelUnavailable("broke off"), Delta(text="Hel"))
refuses = raising(InvalidRequest("no"))


def model_of(
    *backends: ScriptedBackend, name: str = "m", balance: BalanceSettings | None = None
) -> Model:
    """A model with a deployment for each backend."""
    deployments = [
        Deployment(key=f"{name}-{position}", runner=Runner(backend))
        for position, backend in enumerate(backends)
    ]
    return Model(name, deployments, Params(), balance=balance)
