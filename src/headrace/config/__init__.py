"""Configuration: `headrace.yaml` and the folders beside it, read once, with errors that point.

Read node.py (YAML with places), model.py (what may be set), load.py (reading a service).
"""
