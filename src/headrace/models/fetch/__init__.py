"""Fetching weights: from a package index (package.py), from a hub (hub.py)."""
