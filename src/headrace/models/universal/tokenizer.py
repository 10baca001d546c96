"""Texts as numbers of pieces, by a SentencePiece vocabulary on the `tokenizers` library."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import ModelUnavailable
from headrace.models.encoder.encoder import Tokens, cut
from headrace.models.universal.piece import Vocabulary, read_vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["PieceTokenizer"]

_BLANK = "▁"
_NEVER = "\0"
"""In front of markers: normalizing removes it from texts, so that no `</s>` in one ends it."""


class PieceTokenizer:
    """Cuts as SentencePiece does: normalized, blanks made pieces, the likeliest pieces."""

    def __init__(self, path: Path, *, context_tokens: int) -> None:
        """
        Raises:
            ModelUnavailable: the file is no vocabulary of that kind.
        """
        # Tokenizing must not start threads of its own beside those that compute.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            vocabulary = read_vocabulary(path.read_bytes())
            self._begin = vocabulary.number_of("<s>")
            self._end = vocabulary.number_of("</s>")
        except ValueError as error:
            raise ModelUnavailable(
                f"{path.name} is no vocabulary: {error}", hint="it is a model's `sp.model`"
            ) from error
        self._context_tokens = context_tokens
        self.size = len(vocabulary.pieces)
        self._tokenizer = _tokenizer_of(vocabulary)

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Each text's pieces between a beginning and an end, cut to what counts."""
        return [
            cut([self._begin, *encoding.ids, self._end], self._context_tokens)
            for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ]


def _tokenizer_of(vocabulary: Vocabulary) -> "Tokenizer":
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(
        models.Unigram(
            [
                (each.text if each.is_text else _NEVER + each.text, each.score)
                for each in vocabulary.pieces
            ],
            unk_id=vocabulary.unknown,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(vocabulary.charsmap),
            normalizers.Replace(Regex(" +"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(_BLANK, prepend_scheme="always")
    return tokenizer
