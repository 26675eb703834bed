"""Starlette's test client."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette prefers a newer httpx
    from starlette.testclient import TestClient as TestClient
