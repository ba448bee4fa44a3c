"""What the black-box tests share: readers of /proc, streams, configuration text, and small programs to supervise."""
