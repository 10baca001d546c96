"""Evals: suites in OpenAI's shape (`/v1/evals`), run in the background and safe from any kill.

Read job.py (what an eval and a run are), criterion.py (how an answer is graded), store.py (where
they are kept), suite.py (those that the service's folder holds), runner.py (who runs them).
"""
