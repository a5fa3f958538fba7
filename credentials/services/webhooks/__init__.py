"""Tells clients what happened: where they listen, what waits for them, and how it gets there."""
