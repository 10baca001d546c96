"""`headrace screen`: one module per command."""
