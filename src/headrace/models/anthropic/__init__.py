"""Anthropic's Messages API, and servers that speak it.

Read backend.py (settings and the wire), request.py (our words in theirs) with messages.py (a
conversation in their blocks), stream.py (their answers), usage.py and errors.py.
Source: https://platform.claude.com/docs/en/api/messages and the pages it links.
"""
