"""Configuration: `headrace.yaml` and the folders beside it, read once, with errors that point.

Read model.py (what may be set), load.py (reading a service), node.py (a value with its place) on
document.py (YAML), reference.py (`${…}`) and explain.py (what is wrong). schema.py publishes the
format, init.py writes a starting service, watch.py says when a file has changed.
"""
