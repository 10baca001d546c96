"""OpenAI's Responses API (`/v1/responses`), answered by the same pipeline as a chat.

Read wire.py (what a request may hold), item.py and tool.py (its items and tools in chat words),
continuation.py (what a response goes on from), then answer.py; render.py and stream.py write the
answer, stored.py gives it once more. What is not here, and why:
docs/decisions/0050-two-more-surfaces.md.
"""
