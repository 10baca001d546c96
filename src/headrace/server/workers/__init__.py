"""Several workers behind one port: `headrace up --workers N`.

Read message.py (what supervisor and workers tell each other), supervisor.py (starts workers, starts
them again, stops them), worker.py (one worker's process), seat.py (what is different there). Then
the parts that workers share: runtimes.py (weights), conversation.py and handover.py (each
conversation has one owner), scrape.py (metrics); shared limits are access/limits/mapped.
"""
