"""OpenAI's chat completions, and everybody who speaks them.

Read wire.py (the protocol), request.py / stream.py / usage.py / errors.py (its four parts),
context.py (how a prompt that is too long is told), listing.py (`/models`), quirk.py and preset.py
(how providers differ, as data), backend.py (what the model box sees). The responses protocol of the
same servers is openai_responses/.
"""
