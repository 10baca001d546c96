"""Storage: where state lives, and how it gets there without slowing an answer.

Read `journal.py` (memory that outlives the process), `writer.py` (from there to the database in
batches), `database.py` and `tables.py`. Nothing is re-exported here, because the database
library is heavy and most commands do without it.
"""
