"""`headrace train`: group.py names the commands, each in a file of its own."""
