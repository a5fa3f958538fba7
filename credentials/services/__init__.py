"""The only writers: one verb per function, each change and its audit event in one transaction."""
