"""The operations that come with Headrace and need no service: one to a file."""
