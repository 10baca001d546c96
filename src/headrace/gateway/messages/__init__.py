"""Anthropic's Messages API (`/v1/messages`), answered by the same pipeline as a chat.

Read wire.py (what a request may hold), block.py and tool.py (its content and tools in chat words),
then answer.py; render.py and stream.py write the answer, errors.py says failures in Anthropic's
words, count.py counts tokens, models.py lists models for this API's clients. What is not here, and
why: docs/decisions/0050-two-more-surfaces.md.
"""
