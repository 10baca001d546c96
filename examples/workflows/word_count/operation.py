"""`word_count`: how many words a file has, and which come most often."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["WordCount"]


class WordCountSettings(Settings, frozen=True):
    """What is counted."""

    top: int = 3
    """How many of the most frequent words are given."""


class WordCount(Operation):
    """Counts the words of the input `text`."""

    Settings = WordCountSettings
    returns = ("words", "top")

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, WordCountSettings)
        words = context.inputs["text"].read_text("utf-8").lower().split()
        most = Counter(words).most_common(settings.top)
        return {"words": len(words), "top": [word for word, _ in most]}
