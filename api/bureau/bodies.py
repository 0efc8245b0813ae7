"""What a request may carry: strict JSON, and the few types that its members have.

Numbers are integers: money in 分; rates, places and other fractions travel as text. Days are ``2025-03-03``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Header
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from api.problems import IdempotencyKeyMissing, UnsupportedMediaType
from api.wire import BadBody
from keys.strictjson import parse_json

MAX_JSON_BYTES = 1 << 20
MAX_UPLOAD_BYTES = 16 << 20
_JSON = ("application/json", "application/json; charset=utf-8")


class Body(BaseModel):
    """Base of every request model: no member more, none of another type."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def _day(value: object) -> object:
    """An ISO day as text; anything else is left to be refused."""
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


Day = Annotated[date, BeforeValidator(_day, json_schema_input_type=str)]
Number = Annotated[int, Field(ge=1, le=2**53)]  # of a row
Cents = Annotated[int, Field(ge=0, le=10**15)]  # 分
Line = Annotated[str, Field(min_length=1, max_length=200)]
Remark = Annotated[str, Field(max_length=2_000)]


class StrictRequest(Request):
    async def json(self) -> Any:
        """Raises JsonInvalid."""
        if not hasattr(self, "_strict"):
            self._strict = parse_json(await self.body(), max_bytes=MAX_JSON_BYTES)
        return self._strict


class StrictRoute(APIRoute):
    """The route class of every router here: a body that a model reads is application/json, and strict."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, reads_json = super().get_route_handler(), self.body_field is not None

        async def strictly(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if reads_json:
                if request.headers.get("content-type", "").lower() not in _JSON:
                    raise UnsupportedMediaType("expected application/json")
                await strict.json()  # here, so that its own error is told
            return await handle(strict)

        return strictly


class ImageAnswer(Response):
    """A photo or signature as it is kept; the route names it as its ``response_class``, for the description."""

    media_type = "image/jpeg"


def upload(*media_types: str) -> Any:
    """A dependency that gives an upload, one file of these types: ``Annotated[bytes, upload("image/png")]``.

    Raises UnsupportedMediaType, BadBody if it is empty.
    """

    async def read(request: Request) -> bytes:
        if request.headers.get("content-type", "") not in media_types:
            raise UnsupportedMediaType("another type of file is expected here")
        body = await request.body()
        if not body:
            raise BadBody("an empty file")
        return body

    return Depends(read)


def _idempotency_key(idempotency_key: Annotated[str | None, Header()] = None) -> str:
    """As the header field's draft has it, a structured-field string: ``"…"``."""
    if idempotency_key is None:
        raise IdempotencyKeyMissing("no Idempotency-Key")
    if len(idempotency_key) < 3 or not (idempotency_key[0] == idempotency_key[-1] == '"'):
        raise BadBody("the Idempotency-Key is not a quoted string")
    return idempotency_key[1:-1]


def takes_key(route: APIRoute) -> bool:
    return any(dependency.call is _idempotency_key for dependency in route.dependant.dependencies)


IdempotencyKey = Annotated[str, Depends(_idempotency_key)]
"""What makes a change that a person asked for happen once; every route that changes something takes it."""
