"""Doctor: does this machine, and this folder's service, have what it needs? Changes nothing.

Read result.py (what a check says), site.py (what is looked at), examine.py (all checks in order).
One subject to a file; a check gives one result per thing that a user can act on.
"""
