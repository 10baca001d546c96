"""Azure OpenAI: OpenAI's protocols under a deployment's own path, key header and content filter.

Read wire.py, then backend.py.
"""
