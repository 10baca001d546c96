"""Bias: does a service answer people of different groups differently, when nothing else differs?

Read question.py (what is asked, about whom), measure.py (what is looked at in an answer), audit.py
(asking, and the tests), page.py (the report as a page). What a single text says about groups is the
detector `stereotype`'s; this compares answers.
"""

from headrace.evaluation.bias.audit import Audit, audit
from headrace.evaluation.bias.question import Question, load_questions

__all__ = ["Audit", "Question", "audit", "load_questions"]
