"""From texts to vectors: tokenizer, model, pooling, unit length."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.encoder.encoder import Tokens, cut, unit_rows
from headrace.models.errors import DeploymentMisconfigured
from headrace.models.onnx.eight_bits import in_eight_bits, is_able

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Session"]

_SILENT = 3
"""Of onnxruntime's log levels: errors alone."""


class Session:
    """A loaded model. Methods compute, so they belong in a thread; NumPy and the runtime let others run."""

    def __init__(
        self,
        weights: Path,
        tokenizer: Path,
        *,
        pooling: Literal["mean", "first"],
        context_tokens: int,
        threads: int,
        arithmetic: Literal["float32", "int8"] = "float32",
    ) -> None:
        """
        Raises:
            ModelUnavailable: the files are no model and tokenizer, or not of a kind that embeds.
            DeploymentMisconfigured: the model does not take as many tokens, or this processor
                cannot compute so.
        """
        # Loading tokenizers must not start threads of its own beside the runtime's.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import onnxruntime
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the library raises nothing more narrow
            raise ModelUnavailable(
                f"{tokenizer.name} is no tokenizer: {error}", hint="it is a model's tokenizer.json"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # The library reports its use where its maker built that in (its wheels for Windows).
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _SILENT
        # Threads that spin while they wait would take the cores from everybody else.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._model = onnxruntime.InferenceSession(
                _model(weights, arithmetic), options, providers=["CPUExecutionProvider"]
            )
        except HeadraceError:
            raise
        except Exception as error:  # as above
            raise ModelUnavailable(
                f"{weights.name} cannot be loaded: {error}", hint="is it an ONNX model?"
            ) from error
        self._inputs = {each.name for each in self._model.get_inputs()}
        if not {"input_ids", "attention_mask"} <= self._inputs:
            raise ModelUnavailable(
                f"{weights.name} takes {', '.join(sorted(self._inputs))}, no tokens of a text",
                hint="it must be a sentence encoder with input_ids and attention_mask",
            )
        self._name = weights.name
        self._pooling = pooling
        self._context_tokens = context_tokens
        # An ONNX file does not say how many positions it has: try the longest text there can be.
        self.vectors([Tokens([0] * context_tokens, is_cut=False)])

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Each text's tokens, cut to what counts; the last one stays the tokenizer's own end."""
        return [
            cut(encoding.ids, self._context_tokens)
            for encoding in self._tokenizer.encode_batch(list(texts))
        ]

    def vectors(self, batch: Sequence[Tokens]) -> "NDArray[np.float32]":
        """One row a text, of unit length."""
        import numpy as np

        longest = max(len(each.ids) for each in batch)
        ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(batch):
            ids[row, : len(each.ids)] = each.ids
            mask[row, : len(each.ids)] = 1
        feed = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = np.zeros_like(ids)
        try:
            output = np.asarray(self._model.run(None, feed)[0], np.float32)
        except Exception as error:  # the runtime's own classes derive from Exception alone
            raise DeploymentMisconfigured(
                f"{self._name} cannot compute {longest} tokens: {error}",
                hint=f"is `context_tokens` ({self._context_tokens}) more than the model was made for?",
            ) from error
        if output.ndim == 3:
            if self._pooling == "first":
                output = output[:, 0]
            else:
                weights = mask[:, :, None].astype(np.float32)
                output = (output * weights).sum(axis=1) / weights.sum(axis=1)
        return unit_rows(output)


def _model(weights: Path, arithmetic: Literal["float32", "int8"]) -> str | bytes:
    """The file, or what was made of it."""
    if arithmetic == "float32":
        return str(weights)
    if not is_able():
        raise DeploymentMisconfigured(
            "this processor cannot compute with `arithmetic: int8`: it has no VNNI",
            hint="take `arithmetic` out",
        )
    return in_eight_bits(weights.read_bytes(), weights.name)
