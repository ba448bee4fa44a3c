"""The shell, against a kernel of its own."""
