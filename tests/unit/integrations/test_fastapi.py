"""Typed session data for FastAPI."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from sealedsession import ConfigError, Session
from sealedsession.integrations.fastapi import CurrentSession, InSession, SessionMiddleware
from tests.support.starlette_client import TestClient

SECRET = "correct horse battery staple, said the sealed cookie"


@dataclass
class Cart:
    items: list[str] = field(default_factory=list)


class Basket(BaseModel):
    items: list[str] = []
    total: Decimal = Decimal(0)
    since: datetime | None = None


class Renamed(BaseModel):
    """What a later version of an application makes of `Basket`."""

    items: list[int] = []


@pytest.fixture(params=[Cart, Basket])
def client(request):
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    kept_type = Annotated[request.param, InSession(request.param, key="cart")]
    later_type = Annotated[Renamed, InSession(Renamed, key="cart")]

    @app.post("/items/{item}")
    def add(item: str, cart: kept_type) -> int:
        cart.items.append(item)
        return len(cart.items)

    @app.post("/fail/{item}")
    async def fail(item: str, cart: kept_type) -> None:
        cart.items.append(item)
        raise HTTPException(409)

    @app.get("/items")
    async def items(cart: kept_type) -> list[str]:
        return cart.items

    @app.get("/later")
    async def later(cart: later_type) -> list[int]:
        return cart.items

    @app.get("/session")
    async def get(session: CurrentSession) -> dict[str, object]:
        assert isinstance(session, Session)
        return dict(session)

    return TestClient(app, base_url="https://testserver")


def test_a_change_is_stored(client):
    """What a path operation changes in the object is in the session for the next request."""
    assert client.post("/items/apple").json() == 1
    assert client.post("/items/pear").json() == 2
    assert client.get("/items").json() == ["apple", "pear"]
    assert client.get("/session").json()["cart"]["items"] == ["apple", "pear"]


def test_without_a_change_nothing_is_stored(client):
    """A path operation that only reads stores nothing."""
    response = client.get("/items")
    assert response.json() == []
    assert "Set-Cookie" not in response.headers


def test_an_exception_stores_nothing(client):
    """After an exception of the path operation, the object's changes are dropped."""
    client.post("/items/apple")
    assert client.post("/fail/pear").status_code == 409
    assert client.get("/items").json() == ["apple"]


def test_data_that_no_longer_fits(client, caplog):
    """Data of an older class gives a new object, stays in the session, and is logged without its values."""
    client.post("/items/apple")
    assert client.get("/later").json() == []
    assert client.get("/items").json() == ["apple"]
    [record] = [record for record in caplog.records if record.name == "sealedsession"]
    assert "apple" not in record.getMessage()


def test_values_of_other_types():
    """Values that JSON does not have are stored as they are."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=SECRET)
    kept_type = Annotated[Basket, InSession(Basket, key="basket")]
    moment = datetime(2030, 1, 2, tzinfo=UTC)

    @app.post("/fill")
    def fill(basket: kept_type) -> None:
        basket.total, basket.since = Decimal("1.50"), moment

    @app.get("/kept")
    def kept(basket: kept_type) -> bool:
        return (basket.total, basket.since) == (Decimal("1.50"), moment)

    client = TestClient(app, base_url="https://testserver")
    client.post("/fill")
    assert client.get("/kept").json() is True


def test_a_class_without_defaults_is_refused():
    """A class that needs arguments is an error when the application is loaded, which names the class."""

    @dataclass
    class Needy:
        name: str

    with pytest.raises(ConfigError, match="Needy"):
        InSession(Needy, key="needy")
