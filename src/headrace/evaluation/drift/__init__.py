"""Whether what is asked and answered changes: windows of traffic compared, and a sample scored."""
