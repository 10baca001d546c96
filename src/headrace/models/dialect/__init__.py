"""Reading a call in OpenAI's words, for backends whose provider speaks others.

Read field.py (what may be said at all), tool.py, answer.py (JSON answers), piece.py (what messages
hold), carried.py (what a provider wants back with a tool's result), reset.py (times in headers),
reading.py and whole.py (answers), counting.py (providers that count tokens). What a client sent and
cannot be read is refused, naming the field.
"""
