"""Google's Gemini API (`generateContent`).

Read backend.py (settings and the wire), request.py (our words in theirs) with contents.py (a
conversation in their parts), stream.py (their answers), usage.py and errors.py.
Source: https://ai.google.dev/api/generate-content and the pages it links.
"""
