"""Errors as clients see them: problem documents, RFC 9457."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from supervisor.logs.encode import encode

MEDIA_TYPE = "application/problem+json"

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Content",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class ProblemError(Exception):
    """What was asked for can't be done; ``more`` are members of the document beside the standard ones."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: object) -> None:
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more
        super().__init__(detail)

    def response(self) -> Response:
        """The document."""
        title = _TITLES.get(self.status, "Error")
        document = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail, **self.more}
        return Response(encode(document), self.status, self.headers, MEDIA_TYPE)


async def on_problem(_: Request, error: Exception) -> Response:
    """The answer to a problem that an endpoint has raised."""
    if not isinstance(error, ProblemError):
        raise error
    return error.response()
