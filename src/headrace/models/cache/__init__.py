"""The answer cache: the same question is asked upstream once.

It stands at the model call, where the prompt is normalised, grounded and masked already; what it
gives flows through the same steps behind `generate` as a fresh answer. Read question.py (what is
asked), rule.py (what may be kept), key.py (what counts as the same), cache.py (how it is answered),
flight.py (one call, many listeners), memory.py and shared.py (where answers are kept), semantic.py
and difference.py (questions that mean the same), calibration.py (how near is near enough).
"""
