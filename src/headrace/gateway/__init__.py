"""Gateway: OpenAI's HTTP surface, spoken by our pipeline.

Read app.py (which address does what), call.py (one request: who asks, what comes back), chat.py
(a turn from a request to its answer), wire.py and render.py (the formats), errors.py.
"""
