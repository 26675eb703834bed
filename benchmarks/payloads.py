"""The sessions to measure: from an almost empty one to one that just fits into a cookie."""

import datetime
import decimal
import random
import uuid

_random = random.Random(20240611)


def _hex(length: int) -> str:
    return "".join(_random.choices("0123456789abcdef", k=length))


def _token(length: int) -> str:
    return "".join(_random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", k=length))


PAYLOADS = {
    "tiny": {"user_id": 42},
    "login": {
        "user_id": 184467,
        "csrf_token": _hex(40),
        "signed_in_at": "2024-06-11T09:41:07.123456+00:00",
        "flash": [["success", "Welcome back, Margarete!"]],
        "locale": "de_AT",
        "time_zone": "Europe/Vienna",
        "remember": True,
        "staff": False,
        "next": "/account/orders?page=2",
        "backend": "accounts.backends.EmailBackend",
    },
    "cart": {
        "user_id": 184467,
        "cart": [
            {"sku": 100200 + 37 * i, "name": f"{name}, {_hex(6)}", "price": f"{4 + 3 * i}.90", "quantity": 1 + i % 3}
            for i, name in enumerate(
                ("Espresso beans", "French press", "Paper filters", "Milk frother", "Ceramic mug", "Grinder brush",
                 "Descaler", "Kettle", "Scale", "Cold brew bottle", "Tamper", "Knock box")
            )
        ],
        "currency": "EUR",
        "coupon": None,
        "total": "277.19",
    },
    "typed": {
        "user_id": uuid.UUID(hex=_hex(32)),
        "signed_in_at": datetime.datetime(2024, 6, 11, 9, 41, 7, 123456, tzinfo=datetime.UTC),
        "expires": datetime.timedelta(days=14),
        "birthday": datetime.date(1984, 2, 29),
        "balance": decimal.Decimal("1234.56"),
        "roles": {"admin", "editor", "viewer"},
        "range": (10, 20),
        "locale": "de_AT",
    },
    "near": {
        "user_id": 184467,
        "id_token": _token(900),
        "access_token": _token(640),
        "refresh_token": _token(400),
        "wizard": [{"step": i, "key": _token(28), "done": bool(i % 2)} for i in range(12)],
    },
}  # fmt: skip
