"""Completion of the command line, for the shells that have it; one module each, from one table."""
