"""Evaluation: how good answers are, and whether a difference is more than chance.

Read suite.py (what is asked and what is expected), scorer.py and text.py (how an answer becomes a
number), run.py (asking and scoring everything), statistic.py (intervals, paired tests), gate.py
(what must hold), report.py (for people and CI). The room asks through an `Answerer` that whoever
calls it makes; it knows neither pipeline nor server.
"""
