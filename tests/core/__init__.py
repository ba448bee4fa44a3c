"""The pure core, exhaustively."""
