"""People's libraries: their names, their snapshots, and the content that is kept once however often it came."""
