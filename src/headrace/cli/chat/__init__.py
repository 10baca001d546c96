"""`headrace chat`: a question and its answer, or a conversation, in the terminal.

Read command.py (options), partner.py (what can answer), remote.py (a running service), local.py
(this process, when none runs), talk.py (the conversation at the prompt), entry.py (typing).
"""
