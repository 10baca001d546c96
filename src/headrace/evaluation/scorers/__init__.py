"""The built-in scorers, and those of installed packages.

Read table.py (which there are, and how a suite's are made); the others hold one kind each.
"""
