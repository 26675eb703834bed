"""Factories of the WSGI middleware for PasteDeploy's ini files::

    [filter:session]
    use = egg:sealedsession
    validate_key = file:%(here)s/validate.key
    encrypt_key = file:%(here)s/encrypt.key

The options are those of `SessionConfig`, with or without the prefix ``session.``. Options with the prefix are also read
from ``[DEFAULT]``. Unknown options are errors.
"""

import configparser
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sealedsession.config import SessionConfig
from sealedsession.errors import ConfigError, without_own_frames
from sealedsession.wsgi import SessionMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PREFIX = "session."


@without_own_frames
def filter_factory(
    global_conf: Mapping[str, str], **local_conf: str
) -> "Callable[[WSGIApplication], SessionMiddleware]":
    """Return a filter that an ini section configures, for the entry point ``paste.filter_factory``.

    :param global_conf: the ``[DEFAULT]`` section. Only options with the prefix are read.
    :param local_conf: the filter's own section.
    :returns: a function that wraps an application in the middleware.
    :raises ConfigError: if an option is unknown or invalid. The message names the file and, if known, the section.
    """
    local = {key.removeprefix(PREFIX) for key in local_conf}
    defaults = {
        key: value
        for key, value in global_conf.items()
        if key.startswith(PREFIX) and key.removeprefix(PREFIX) not in local
    }
    try:
        config = SessionConfig.from_mapping({**defaults, **local_conf}, PREFIX)
    except ConfigError as error:
        raise ConfigError(f"{_describe_place(global_conf, local_conf)}{error}") from error.__cause__
    return lambda app: SessionMiddleware(app, config)


@without_own_frames
def filter_app_factory(app: "WSGIApplication", global_conf: Mapping[str, str], **local_conf: str) -> SessionMiddleware:
    """Wrap an application in the middleware, for the entry point ``paste.filter_app_factory``.

    :param app: the application.
    :param global_conf: see `filter_factory`.
    :param local_conf: see `filter_factory`.
    :returns: the application in the middleware.
    :raises ConfigError: see `filter_factory`.
    """
    return filter_factory(global_conf, **local_conf)(app)


def _describe_place(global_conf: Mapping[str, str], local_conf: Mapping[str, str]) -> str:
    """Return the first part of an error message: the ini file, and the section if only one has all these options.

    PasteDeploy passes the path of the file, but not the name of the section.
    """
    path = global_conf.get("__file__")
    if not path:
        return ""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeError):
        return f"{path}: "
    sections = [
        section
        for section in parser.sections()
        if section.startswith("filter") and all(parser.has_option(section, option) for option in local_conf)
    ]
    return f"{path}, section [{sections[0]}]: " if len(sections) == 1 else f"{path}: "
