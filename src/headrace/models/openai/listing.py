"""The models that a server lists, and what it says of each.

Sources: OpenAI `/v1/models` (`shutdown_date`); vLLM (`max_model_len`), OpenRouter and Together
(`context_length`), Groq (`context_window`), Mistral (`max_context_length`, `deprecation`), llama.cpp
(`meta.n_ctx_train`), Azure OpenAI (`deprecation.inference`, a Unix time).
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from headrace.models.backend import ListedModel

__all__ = ["listed_in"]


class _Meta(msgspec.Struct):
    n_ctx: int | None = None
    n_ctx_train: int | None = None


class _Provider(msgspec.Struct):
    max_completion_tokens: int | None = None


class _Deprecation(msgspec.Struct):
    inference: int | None = None


class _Model(msgspec.Struct):
    id: str
    shutdown_date: str | None = None
    max_model_len: int | None = None
    context_length: int | None = None
    context_window: int | None = None
    max_context_length: int | None = None
    max_completion_tokens: int | None = None
    meta: _Meta | None = None
    top_provider: _Provider | None = None
    deprecation: str | _Deprecation | None = None


class _List(msgspec.Struct):
    data: list[_Model]


def listed_in(body: bytes) -> Sequence[ListedModel]:
    """The models of a list, which is either OpenAI's object or bare (Together).

    Raises:
        msgspec.MsgspecError: it is none.
    """
    if body.lstrip()[:1] == b"[":
        models = msgspec.json.decode(body, type=list[_Model])
    else:
        models = msgspec.json.decode(body, type=_List).data
    return [_listed(each) for each in models]


def _listed(model: _Model) -> ListedModel:
    meta = model.meta or _Meta()
    routed = model.top_provider or _Provider()
    return ListedModel(
        id=model.id,
        context_tokens=(
            model.max_model_len
            or model.context_length
            or model.context_window
            or model.max_context_length
            or meta.n_ctx
            or meta.n_ctx_train
            or None
        ),
        output_tokens=model.max_completion_tokens or routed.max_completion_tokens or None,
        shutdown_date=model.shutdown_date or _date(model.deprecation),
    )


def _date(deprecation: str | _Deprecation | None) -> str | None:
    if isinstance(deprecation, str):
        return deprecation[:10]
    if deprecation is None or deprecation.inference is None:
        return None
    try:
        return datetime.fromtimestamp(deprecation.inference, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return None  # no time that there is
