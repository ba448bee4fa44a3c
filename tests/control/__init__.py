"""The control plane: what clients of any manners see, and what the daemon does meanwhile."""
