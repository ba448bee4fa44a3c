"""The commands that talk to a running daemon, one module each; fetching here, and what it looks like elsewhere."""
