"""Prompts: the words around a user's message, as versioned templates from `prompts/*.yaml`.

Read file.py (the format), variable.py (typed variables), text.py and bound.py (sandboxed Jinja),
example.py and dataset.py (few-shot), reasoning.py and thought.py (chain of thought: asked for, and
kept apart on the stream), template.py (what renders a turn), library.py (all templates of a
service), choice/ (which one a request gets), nearest.py (examples by meaning), store.py (their
versions), lint.py, labelled.py and candidate.py (what `headrace prompts optimise` measures and tries;
the search is pipeline/optimise.py). The step that applies one to a turn is pipeline/steps/template.py;
pipeline/trial.py runs the `tests:` of one.
"""

from headrace.prompts.file import PromptFile
from headrace.prompts.library import PromptLibrary
from headrace.prompts.template import PromptTemplate, Rendered

__all__ = ["PromptFile", "PromptLibrary", "PromptTemplate", "Rendered"]
