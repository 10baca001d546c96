"""`headrace release`, `headrace deploy` and `headrace rollback`."""
