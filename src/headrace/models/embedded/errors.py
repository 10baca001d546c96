"""llama.cpp's error bodies, as failures that a user can act on."""

import re

import msgspec

from headrace.errors import ContextTooLong, HeadraceError, InvalidRequest, ModelUnavailable

__all__ = ["error_of"]

_TOO_LONG_TO_EMBED = re.compile(r"input \((\d+) tokens\) is too large.*current batch size: (\d+)")


class _Error(msgspec.Struct):
    message: str = ""
    type: str = ""
    n_prompt_tokens: int = 0
    n_ctx: int = 0


class _Body(msgspec.Struct):
    error: _Error


def error_of(status: int, body: bytes, model: str) -> HeadraceError:
    """The failure that a non-200 response stands for."""
    try:
        error = msgspec.json.decode(body, type=_Body).error
    except msgspec.MsgspecError:
        return ModelUnavailable(f"the model server answered with status {status}")
    if error.type == "exceed_context_size_error":
        return ContextTooLong.counted(error.n_prompt_tokens, error.n_ctx, model)
    if long := _TOO_LONG_TO_EMBED.search(error.message):
        return ContextTooLong(
            f"an input of {long[1]} tokens is too long to embed: this model takes {long[2]} at once "
            f"({model})",
            hint="cut the text into shorter pieces",
            param="input",
        )
    if status == 400:
        return InvalidRequest(f"the model refused the request: {error.message}")
    if status == 503:
        return ModelUnavailable("the model is still loading", hint="try again in a few seconds")
    return ModelUnavailable(f"the model server answered with status {status}: {error.message}")
