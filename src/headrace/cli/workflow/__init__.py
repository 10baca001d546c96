"""`headrace workflow`: graphs of steps, run and looked after."""
