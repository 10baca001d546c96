"""AWS Bedrock's Converse API, for whichever models it hosts.

Read backend.py (settings and the wire), sigv4.py (how requests are signed), request.py (our words
in theirs) with messages.py (a conversation in their blocks), eventstream.py (binary framing),
stream.py (their answers), usage.py and errors.py.
Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""
