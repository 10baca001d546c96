"""The direct way of a chat: from the client's bytes to a deployment and back, without a task.

Taken where nothing has to be done to either text: the pipeline is `generate` alone, and client and
deployment speak OpenAI's protocol alike. All that an operator relies on holds: the key, limits,
balancing, health, the trace, metrics. Whatever is out of the ordinary (no room, no connection, a
refusal, a field with another meaning there) goes the ordinary way, which begins anew: so these files
only know how things go well. Decision 0053.

Read relay.py (which exchanges are taken), plan.py (what a service can relay), plain.py (requests that
mean the same everywhere), call.py (one chat on its way), account.py (what the trace and the client are
told of it) and watch.py (calls that take their time).
"""
