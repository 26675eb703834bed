"""Requests to an ASGI application."""

import asyncio

from asgiref.testing import ApplicationCommunicator

TEXT = (b"content-type", b"text/plain")
BODY = {"type": "http.response.body", "body": b"hello"}
ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close", "code": 1000}


def talk(app, scope, *messages):
    """Run an application to its end, and return the messages that it sent."""

    async def conversation():
        communicator = ApplicationCommunicator(app, scope)
        for message in messages:
            await communicator.send_input(message)
        await communicator.wait(60)
        return [communicator.output_queue.get_nowait() for _ in range(communicator.output_queue.qsize())]

    return asyncio.run(conversation())


def http(cookie=None, **more):
    cookies = [] if cookie is None else [(b"cookie", cookie)]
    headers = [(b"host", b"localhost"), *cookies]
    return {"type": "http", "asgi": {"version": "3.0"}, "method": "GET", "path": "/", "headers": headers, **more}


def websocket(cookie=None, version="2.3"):
    asgi = {"version": "3.0"} if version is None else {"version": "3.0", "spec_version": version}
    return {**http(cookie), "type": "websocket", "scheme": "ws", "asgi": asgi}


def start(**more):
    return {"type": "http.response.start", "status": 200, "headers": [TEXT], **more}


def make_app(act, *messages):
    """An application that uses its session and then sends messages, which are made for each request."""

    async def app(scope, receive, send):
        act(scope["session"])
        for message in messages:
            await send(message)

    return app
