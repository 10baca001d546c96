"""Knowledge: documents are read, cut into chunks, embedded and indexed; passages are retrieved."""
