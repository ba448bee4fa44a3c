"""The figures of the design's budgets, measured beside the peers that this machine has: `make bench`."""
