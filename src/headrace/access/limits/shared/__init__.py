"""One count for several gateways, in Redis: a script decides, one round trip for many calls.

Read `script.lua` (what happens in Redis), `wire.py` (what goes there and comes back), `backlog.py`
(what Redis has yet to be told), `link.py` (the connection) and `limiter.py` (what the gateway
calls). Needs the extra `redis`.
"""
