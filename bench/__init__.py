"""Speed, always as a ratio measured in one run; never a test, since machines differ."""
