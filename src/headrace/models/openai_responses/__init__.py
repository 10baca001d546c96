"""OpenAI's responses protocol, as the upstream of a deployment (`api: responses`).

Read wire.py, then request.py (messages as items), event.py (what streams), stream.py (reading it).
Errors, limits, embeddings and the list of models are openai/'s: the servers are the same.
Nothing is kept at the provider: `store` is false unless a request says otherwise.

Not covered: encrypted thoughts between the calls of one turn, tools that run at the provider beyond
passing them on, background responses.
"""
