"""Template blocks in sealed state: by the engine, the name of the template, and the names of the blocks around it.

The template is loaded again by the loaders of its engine, and the block looked up in it: it is the block of today. One
that is gone, with its template or without, is a `StaleStateError`; a template that does not parse any more tells so.
"""

import posixpath
from collections.abc import Callable, Iterator
from errno import EISDIR, ENAMETOOLONG, ENOTDIR
from functools import cache
from typing import Any

from django.template import TemplateDoesNotExist, engines
from django.template.backends.django import DjangoTemplates
from django.template.loader_tags import BlockNode
from django.template.loaders.cached import Loader as CachedLoader
from django.template.utils import InvalidTemplateEngineError

from sealedsession.errors import StaleStateError
from sealedsession.integrations.django.budget import current
from sealedsession.integrations.django.operands import exactly

_TEMPLATE = 64  # nodes: to parse one takes that long where loaders keep none
_LONGEST = 255  # characters of a name, as in most file systems. Django keeps names that it did not find.
# What a file system says of a name that no template can have. A disk that is broken says something else.
_NO_NAME = (EISDIR, ENAMETOOLONG, ENOTDIR)


def encode(block: Any) -> object:
    """The reference to a block.

    :raises ValueError: when it is not found again in a template that an engine has loaded.
    """
    origin: Any = getattr(block, "origin", None)
    name = getattr(origin, "template_name", None)
    if not isinstance(name, str) or origin.loader is None or not _is_normal(name):
        raise ValueError(f"the block {block.name!r} is of no template that was loaded by its name")
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates) and engine.engine is origin.loader.engine:
            paths = [path for path, found in _blocks_of(engine, name) if _is_same(found, block)]
            if len(paths) == 1:
                return (engine.name, name, paths[0])
    raise ValueError(f"the block {block.name!r} is not found in the template {name!r}, or twice")


def decode(data: Any) -> tuple[str, str, tuple[str, ...]]:
    """Check the data of a reference to a block."""
    engine, template, path = exactly(data, tuple, length=3)
    for name in (engine, template, *exactly(path, tuple)):
        if not exactly(name, str).isprintable() or len(name) > _LONGEST:
            raise ValueError(f"a name of a template or a block has at most {_LONGEST} characters, all printable")
    return engine, template, path


def fetch(references: list[tuple[str, str, tuple[str, ...]]]) -> list[Any]:
    """The blocks that references name.

    :raises StaleStateError: when one of them is gone.
    """
    found = cache(_found)  # a template is loaded once for all its blocks
    return [_block(found, *reference) for reference in references]


def template_of(backend: Any, name: str) -> Any:
    """The template that the loaders of an engine find.

    A cached loader keeps a template for each spelling of its name. So a name has one spelling here.

    :raises TemplateDoesNotExist: when they find none, or it is a name that none can have.
    """
    if not name.isprintable() or not _is_normal(name):
        raise TemplateDoesNotExist(name)
    try:
        return backend.engine.get_template(name)
    except TemplateDoesNotExist:
        _forget(backend.engine, name)
        raise
    except OSError as error:
        if error.errno not in _NO_NAME:
            raise
        raise TemplateDoesNotExist(name) from error


def _is_normal(name: str) -> bool:
    """Return whether a template's name is the shortest way to write its path."""
    return posixpath.normpath(name) == name and "\\" not in name and not name.startswith(("/", ".."))


def _forget(engine: Any, name: str) -> None:
    """Take a name that was not found out of where it would be kept for ever: a token may have named it."""
    for loader in engine.template_loaders:
        if isinstance(loader, CachedLoader):
            loader.get_template_cache.pop(loader.cache_key(name), None)


def _found(engine: str, template: str) -> dict[tuple[str, ...], Any]:
    current().reading.pay(_TEMPLATE)
    backend = engines[engine]
    blocks = [*_blocks_of(backend, template)] if isinstance(backend, DjangoTemplates) else []
    return dict(reversed(blocks))  # of several on one path the first


def _block(found: Callable[[str, str], Any], engine: str, template: str, path: tuple[str, ...]) -> Any:
    gone = StaleStateError(f"the block {'.'.join(path)[:60]!a} of the template {template[:60]!a}: gone")
    try:
        block = found(engine, template).get(path)
    except (InvalidTemplateEngineError, TemplateDoesNotExist) as error:
        raise gone from error
    if block is None:
        raise gone
    return block


def _blocks_of(backend: Any, template: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    return _blocks_in(template_of(backend, template).nodelist, ())


def _blocks_in(nodes: Any, around: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for node in nodes:
        path = around
        if isinstance(node, BlockNode):
            path = (*around, node.name)
            yield path, node
        for attribute in node.child_nodelists:
            yield from _blocks_in(getattr(node, attribute, None) or (), path)


def _is_same(found: Any, block: Any) -> bool:
    """Whether it is the block, or the same one where templates are parsed anew each time."""
    return found is block or (found.name == block.name and found.token.lineno == block.token.lineno)
