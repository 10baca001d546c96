"""Console: the pages a person opens. Server-rendered, htmx, no build step.

Read app.py (every address), visit.py (one request of a reader), stream.py (an answer as it is
written), views/ (one subject a file). Words are in languages/, pages in templates/.
"""
