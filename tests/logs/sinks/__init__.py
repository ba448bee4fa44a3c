"""The sinks beside the log, against real files and sockets."""
