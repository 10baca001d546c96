"""`headrace data`: one module per command."""
