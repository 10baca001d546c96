"""One count for several processes of one machine, in a file that all of them map.

Read `table.py` (the file), `counter.py` (a counter in it) and `limiter.py` (what a gateway calls).
Why not a server for them: docs/decisions/0054.
"""
