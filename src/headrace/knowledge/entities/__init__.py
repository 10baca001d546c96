"""Entities: names, dates and amounts found in a text and linked to what the service knows.

Read settings.py (the glossary), then link.py (names), date.py and amount.py.
"""
