"""Groundedness: how far a sentence is supported by the passages that it could stand on.

Read sentence.py (what is judged), feature.py (what is looked at), support.py (how that becomes a
probability). Fitted and measured by `tools/fit_groundedness.py`.
"""

from headrace.screening.groundedness.sentence import Sentence, sentences
from headrace.screening.groundedness.support import SupportModel, Verdict

__all__ = ["Sentence", "SupportModel", "Verdict", "sentences"]
