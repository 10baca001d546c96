"""`headrace models`: which models there are, which to take, what they cost, whether they answer.

Read group.py (the commands), known.py (what is known here: declared, catalogued, measured).
"""
