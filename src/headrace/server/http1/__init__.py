"""HTTP/1.1 as this service speaks it: the front door of every worker.

Read target.py and request.py (from a head's bytes to a request, or why it is refused), chunked.py
and body.py (what follows the head), response.py (how an answer is written), exchange.py (a request
with its answer, as a handler sees it), connection.py (one client: when to read, write and give up),
server.py (all clients: ticking, draining), asgi.py (an ordinary ASGI app behind the same port) and
certificate.py (TLS).
"""
