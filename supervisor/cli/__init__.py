"""The command line: argv to typed arguments. The only room that prints or exits."""
