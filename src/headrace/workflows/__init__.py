"""Workflows: YAML graphs that run durably, and the batches and evals that clients ask for.

Read file.py (what stands in `workflows/NAME.yaml`), workflow.py (how it is checked), plan.py and
state.py (which step comes when: no I/O), operation.py (what a step does; yours too), step.py (one
step, so that it may be killed at any moment), engine.py (DBOS) and lease.py (who is alive).
"""
