"""Probing a deployment: one small real question, and what is wrong when it is not answered.

Read probe.py (the question and its figures), diagnosis.py (what a failure means), address.py
(looking at a server's address step by step).
"""
