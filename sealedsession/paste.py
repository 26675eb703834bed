"""The Paste door: factories for PasteDeploy's ini files, over the WSGI door::

    [filter:session]
    use = egg:sealedsession
    validate_key = file:%(here)s/validate.key
    encrypt_key = file:%(here)s/encrypt.key

Options are those of `SessionConfig`, with or without the prefix ``session.``; options with the prefix are taken from
``[DEFAULT]`` too. An unknown option is an error.
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
    """Make a filter of an ini section, for ``paste.filter_factory``.

    :param global_conf: the ``[DEFAULT]`` section, of which only options with the prefix are ours.
    :param local_conf: the filter's own section.
    :raises ConfigError: for every mistake in them.
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
        raise ConfigError(f"{_place(global_conf, local_conf)}{error}") from error.__cause__
    return lambda app: SessionMiddleware(app, config)


@without_own_frames
def filter_app_factory(app: "WSGIApplication", global_conf: Mapping[str, str], **local_conf: str) -> SessionMiddleware:
    """Wrap an application by an ini section, for ``paste.filter_app_factory``.

    :raises ConfigError: as `filter_factory`.
    """
    return filter_factory(global_conf, **local_conf)(app)


def _place(global_conf: Mapping[str, str], local_conf: Mapping[str, str]) -> str:
    """Return the ini file and the section of a mistake, as far as they are known: PasteDeploy passes the file only."""
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
