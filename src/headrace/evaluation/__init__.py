"""Evaluation: how good answers are, and whether a difference is more than chance.

Read text.py (scores that only compare texts), then statistic.py (intervals, paired tests, what
could have been detected). There is no runner, suite file, report or command here yet.
"""
