"""Prompts: the words around a user's message, as versioned templates from `prompts/*.yaml`.

Read file.py (the format), variable.py (typed variables), text.py (sandboxed Jinja), example.py
(few-shot), reasoning.py and thought.py (chain of thought: asked for, and kept apart on the
stream), template.py (what renders a turn), library.py (all templates of a service). The step
that applies one to a turn is pipeline/steps/template.py.

What it does not do yet: choose a template by rule or classifier, pick examples from a dataset,
run the `tests:` of a template. The format has room for each.
"""

from headrace.prompts.file import PromptFile
from headrace.prompts.library import PromptLibrary
from headrace.prompts.template import PromptTemplate, Rendered

__all__ = ["PromptFile", "PromptLibrary", "PromptTemplate", "Rendered"]
