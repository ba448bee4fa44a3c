#!python
"""Where every start begins: the ``pausevisor`` command is this file, and so is ``python3 -I -m supervisor``.

The first statement blocks all signals. As PID 1 the kernel drops a signal that nobody handles, and elsewhere it
kills; one that is blocked is kept until somebody reads it, through exec(3) too. So nothing may be imported before.

The daemon runs isolated: nothing that lies in a working directory or in ``PYTHON*`` is loaded by PID 1. And pausing
has ten megabytes to live in, of which the machinery behind ``-m`` takes a fifteenth. Where we were not started so,
we start ourselves again so, in the same process, for the price of a bare interpreter's start.
"""

import _signal  # type: ignore[import-not-found]  # builtin, unlike `signal`, which builds enumerations

INHERITED_MASK = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())

import gc  # noqa: E402 - after the signals are safe
import os  # noqa: E402
import sys  # noqa: E402

_MASK_VARIABLE = "PAUSEVISOR_SIGNAL_MASK"  # what was blocked before we began, for the second start


def main() -> None:
    """Run the command line; does not return."""
    command = sys.argv[1:2]
    is_script = __spec__ is None
    if command == ["pause"] or sys.argv[1:] == ["run"]:
        from supervisor.config.places import is_configured  # noqa: PLC0415 - each way imports its own

        if command == ["pause"] or not is_configured():
            _start_again(unless=is_script and bool(sys.flags.isolated))
            if len(sys.argv) == 2:
                from supervisor.pause import main as pause  # noqa: PLC0415 - each way imports its own

                pause(configured=is_configured if command == ["run"] else None)
    if command == ["run"]:
        gc.disable()  # until the daemon runs: collecting while importing finds nothing, and costs a tenth of the start
        _start_again(unless=not is_script or bool(sys.flags.isolated))
    mask = _inherited_mask()
    if command == ["ping"]:
        from supervisor.cli.ping import ping_quickly  # noqa: PLC0415 - each way imports its own

        ping_quickly(sys.argv[2:], mask)
    from supervisor.cli.main import main as cli  # noqa: PLC0415 - each way imports its own

    cli(sys.argv[1:], mask)


def _start_again(*, unless: bool) -> None:
    """Become the same command, isolated and as a script; pid, mask and pending signals stay.

    Run from a source tree that is not installed, an isolated start would not find the package: then it is left.
    """
    if unless or (__spec__ is not None and not sys.flags.isolated):
        return
    os.environ[_MASK_VARIABLE] = ",".join(str(int(signal)) for signal in INHERITED_MASK)
    os.execv(sys.executable, [sys.executable, "-I", __file__, *sys.argv[1:]])


def _inherited_mask() -> frozenset[int]:
    """The signals that were blocked before the first of our statements, of the first start if this is the second."""
    handed_over = os.environ.pop(_MASK_VARIABLE, None)
    if handed_over is None:
        return frozenset(map(int, INHERITED_MASK))
    return frozenset(int(number) for number in handed_over.split(",") if number)


def _internal_error(error: Exception) -> None:
    """Say that it is our mistake, and exit with 70: nothing was started, or what was is the kernel's to end."""
    if os.environ.get("PAUSEVISOR_DEBUG"):
        import traceback  # noqa: PLC0415 - only for who asked

        traceback.print_exc()
    hint = "this is a bug in pausevisor; PAUSEVISOR_DEBUG=1 shows where"
    os.write(2, f"pausevisor: internal error: {type(error).__name__}: {error} ({hint})\n".encode())
    os._exit(70)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - a traceback tells users nothing
        _internal_error(error)
