"""Black-box tests: the daemon as a real process, often PID 1 of a namespace, judged by what any user sees."""
