"""Where every start begins: ``python3 -I -m supervisor`` and the ``pausevisor`` command.

The first statement blocks all signals. As PID 1 the kernel drops a signal that nobody handles, and elsewhere it
kills; one that is blocked is kept until somebody reads it. So nothing may be imported before that, and the pause
mode, which has ten megabytes to live in, is chosen before the command line's parser is imported.
"""

import _signal  # type: ignore[import-not-found]  # builtin, unlike `signal`, which builds enumerations

INHERITED_MASK = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())

import sys  # noqa: E402 - after the signals are safe


def main() -> None:
    """Run the command line; does not return."""
    if sys.argv[1:] == ["pause"]:
        from supervisor.pause import main as pause  # noqa: PLC0415 - each way imports its own

        pause()
    from supervisor.cli.main import main as cli  # noqa: PLC0415 - each way imports its own

    cli(sys.argv[1:], frozenset(map(int, INHERITED_MASK)))


if __name__ == "__main__":
    main()
