"""Entities: names, dates and amounts found in a text and linked to what the service knows.

Read settings.py (the glossary; table.py and titled.py: where else names come from), link.py (all of
it for one text), name.py (names, with typo.py, longer_word.py and context.py), then date.py, hour.py
and amount.py. What the glossary does not hold is guessed by guess.py and chinese_guess.py.
"""
