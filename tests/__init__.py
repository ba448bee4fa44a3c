"""The tests: one folder for each room, and `processes` for the daemon as a whole."""
