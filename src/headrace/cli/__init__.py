"""The command line: parses, calls, prints; what a command knows, the other rooms know.

Read `main.py` (every command by name, and how failures look), then the command's own module.
`lazy.py` keeps `headrace --help` fast: a command's module is imported when it is called.
"""
