"""Typed session data for FastAPI (the extra ``fastapi``)::

    @dataclass
    class Cart:
        items: list[str] = field(default_factory=list)

    SessionCart = Annotated[Cart, InSession(Cart, key="cart")]

    @app.post("/items")
    def add(item: str, cart: SessionCart) -> int:
        cart.items.append(item)
        return len(cart.items)

The middleware is that of `sealedsession.integrations.starlette`, or `sealedsession.asgi.SessionMiddleware`.
"""

import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeVar

from sealedsession.errors import ConfigError
from sealedsession.integrations import not_installed
from sealedsession.integrations.starlette import SessionMiddleware, get_session
from sealedsession.session import Session

try:
    from fastapi import Depends
    from pydantic import TypeAdapter, ValidationError
    from starlette.requests import HTTPConnection
except ModuleNotFoundError as _error:
    raise not_installed(_error, "fastapi") from _error

__all__ = ["CurrentSession", "InSession", "SessionMiddleware", "get_session"]

T = TypeVar("T")

logger = logging.getLogger("sealedsession")

CurrentSession = Annotated[Session, Depends(get_session)]
"""The session, as the type of a path operation's parameter."""


def InSession(cls: type[T], *, key: str) -> Any:  # noqa: N802  # it is written like a class, as FastAPI's Depends
    """Return a dependency that keeps an object in the session.

    The object is made from the session's data, or with ``cls()`` if there is none. After the path operation, it is
    stored if it has changed, before the response's headers are sent. After an exception, it is not.

    Data that no longer fits the class, because the class has changed, is logged. The path operation gets a new object,
    and the data stays in the session until the object changes.

    :param cls: a dataclass or a pydantic model whose fields have defaults. Its data must be of types that a session can
        store.
    :param key: the key of the session under which the data is stored.
    :raises ConfigError: if the class cannot be made without arguments.
    """
    adapter = TypeAdapter(cls)
    try:
        adapter.dump_python(cls())
    except (TypeError, ValidationError) as error:
        raise ConfigError(f"InSession: {cls.__qualname__}() must work. Give every field a default") from error

    async def provide(connection: HTTPConnection) -> AsyncIterator[T]:
        session = get_session(connection)
        value = _load(adapter, cls, session, key)
        before = adapter.dump_python(value)
        yield value
        after = adapter.dump_python(value)
        if after != before:
            session[key] = after

    return Depends(provide, scope="function")


def _load(adapter: TypeAdapter[T], cls: type[T], session: Session, key: str) -> T:
    if key in session:
        try:
            return adapter.validate_python(session[key])
        except ValidationError as error:
            logger.warning(
                "session[%r] no longer fits %s (%d errors). A new object is used, and replaces the data if it changes",
                key,
                cls.__qualname__,
                error.error_count(),
            )
    return cls()
