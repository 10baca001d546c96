"""Pipeline: the prompt's journey from request to answer.

Read turn.py (one request on its way), step.py (what a part of the pipeline implements, yours
too), pipeline.py (a turn through all steps), stream.py (filters over the answer), compile.py
(from YAML to steps). The steps that come with Headrace are in steps/, one subject each.
"""

from headrace.pipeline.step import BuildContext, Settings, Step, TextFilter
from headrace.pipeline.turn import Turn

__all__ = ["BuildContext", "Settings", "Step", "TextFilter", "Turn"]
