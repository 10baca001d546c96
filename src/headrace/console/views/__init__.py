"""The pages and actions, one subject a file. Each view takes a `Visit` and gives a response."""
