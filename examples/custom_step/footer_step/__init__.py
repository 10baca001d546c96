"""A step of one's own for Headrace. All of it is in step.py."""
