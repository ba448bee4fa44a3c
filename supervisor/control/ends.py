"""Answering those who wait for the end of what they have ordered."""

import asyncio
from collections.abc import Sequence

from starlette.requests import Request

from supervisor.control.orders import End
from supervisor.control.problems import ProblemError
from supervisor.control.subject import Subject
from supervisor.control.view import View
from supervisor.control.waiting import disconnected, first_done


async def orders_done(
    subject: Subject,
    request: Request,
    verb: str,
    attempts: dict[str, dict[str, int]],
    within: float | None,
    **more: object,
) -> None:
    """Return when orders are carried out; as :func:`good_end`.

    Args:
        subject: the daemon.
        request: the client's.
        verb: what was ordered, in words.
        attempts: by the verb whose end is waited for, what :meth:`Orders.give` returned.
        within: seconds to wait; None for no limit.
        more: members of the problem document.
    """
    done = asyncio.ensure_future(subject.orders.all_done(attempts))
    try:
        await good_end(subject, request, verb, done, within, **more)
    except ProblemError as problem:
        if problem.status == 504:
            late, failed = subject.orders.so_far(attempts)
            problem.more |= {"services": late, "results": _views(subject, failed)}
        raise
    finally:
        done.cancel()


async def good_end(
    subject: Subject, request: Request, verb: str, done: "asyncio.Future[End]", within: float | None, **more: object
) -> None:
    """Return when something is done; a client that goes away meanwhile changes nothing.

    Args:
        subject: the daemon.
        request: the client's.
        verb: what was ordered, in words.
        done: is done then; its result is what came of it.
        within: seconds to wait; None for no limit.
        more: members of the problem document.

    Raises:
        ProblemError: 504, it is not in time; 409, it ended otherwise.
    """
    gone = asyncio.ensure_future(disconnected(request.receive))
    try:
        await first_done(done, gone, within=within)
    finally:
        gone.cancel()
    if not done.done():
        raise _problem(504, f"{verb} has not come to its end in time; the order stands", more)
    end = done.result()
    if end.failed:
        raise _ended_otherwise(subject, verb, end, more)


def _ended_otherwise(subject: Subject, verb: str, end: End, more: dict[str, object]) -> ProblemError:
    results = _views(subject, end.failed)
    known = {str(view["name"]): f"{view['state']} ({view['reason']})" for view in results}
    states = ", ".join(f"{name} is {known.get(name, 'removed')}" for name in end.failed)
    members = {"services": end.failed, "results": results, "untouched": end.untouched, **more}
    return _problem(409, f"{verb} ended otherwise: {states}", members)


def _views(subject: Subject, names: Sequence[str]) -> list[View]:
    return [subject.view(name) for name in names if name in subject.fleet.services]


def _problem(status: int, detail: str, members: dict[str, object]) -> ProblemError:
    problem = ProblemError(status, detail)
    problem.more |= members
    return problem
