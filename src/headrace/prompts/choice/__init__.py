"""Choice of a template: by rules, or by a classifier that learns from what templates are asked.

Read settings.py (what a service says), rule.py (conditions), gram.py (letters as features),
classifier.py (fitted when the service loads). The step `template` applies it, through
pipeline/chooser.py.
"""
