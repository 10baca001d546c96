"""`headrace prompts`: the prompt library of this folder's service.

Read desk.py first: how a command finds templates and their versions, and how it asks the model.
"""
