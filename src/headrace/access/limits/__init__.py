"""Limits: what each key, team and model may use: requests, tokens, calls at a time, money.

Read `config.py` and `rule.py` (what is asked for), `window.py` and `spend.py` (how it is counted),
`ledger.py` (whether a call fits), `limiter.py` (what the gateway calls), `store.py` (how it
survives a restart) and `shared/` (one count for several gateways).
"""
