"""Where libraries come from: Git repositories, read by the one place that runs git. No database here."""
