"""Scores texts by two other detectors; run by content.py in a Python that has them.

Reads a JSON list of texts on stdin, writes for each detector its scores and seconds.
"""

import json
import sys
import time
from collections.abc import Callable


def main() -> None:
    """Score all texts by each."""
    from better_profanity import profanity  # type: ignore[import-not-found]
    from profanity_check import predict_prob  # type: ignore[import-not-found]

    texts: list[str] = json.load(sys.stdin)
    scorers: dict[str, Callable[[str], float]] = {
        "alt-profanity-check": lambda text: float(predict_prob([text])[0]),
        "better-profanity": lambda text: float(profanity.contains_profanity(text)),
    }
    load: Callable[[], None] = profanity.load_censor_words
    load()
    result = {}
    for name, score in scorers.items():
        score("warm up")
        began = time.perf_counter()
        scores = [score(text) for text in texts]
        result[name] = {"scores": scores, "seconds": time.perf_counter() - began}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
