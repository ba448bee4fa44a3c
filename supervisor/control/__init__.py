"""The control plane: the socket, the HTTP API behind it, probes and metrics."""
