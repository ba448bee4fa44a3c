"""Answers in JSON."""

from collections.abc import Mapping

from starlette.responses import Response

from supervisor.logs.encode import encode


def json_response(content: Mapping[str, object], status: int = 200) -> Response:
    """One object."""
    return Response(encode(content), status, media_type="application/json")
