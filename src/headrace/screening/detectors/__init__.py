"""Detectors, one to a file. Each says what it finds and what it does not.

Every class here comes in through the entry-point group `headrace.detectors`, like one of yours.
"""
