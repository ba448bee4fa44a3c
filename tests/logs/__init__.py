"""Tests of the logs room, on real pipes, sockets, terminals and files."""
