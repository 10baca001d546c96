"""One file a format: `read(source, settings) -> list[Document]`, entry points `headrace.readers`."""
