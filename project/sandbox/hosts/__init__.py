"""The emulated hosts, one folder or file for each kind of software."""
