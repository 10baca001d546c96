"""Prompt injection: attempts to give the model other orders than the service did, or to get the
service's own words out of it.

Read pattern.py and sign.py (rules that can be named), view.py (what a text hides), feature.py and
classifier.py (what was learnt), assessment.py (all of it as one score with its reasons). Then
conversation.py (attacks over several turns) and leak.py (a system prompt on its way out).

`tools/train_injection.py` makes weights.bin and weights.json; `bench/screening/injection.py` and
`bench/screening/garak.py` say how good they are.
"""
