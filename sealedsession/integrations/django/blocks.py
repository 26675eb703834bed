"""References to template blocks in sealed state: engine, template name, and the names of the enclosing blocks.

The engine's loaders load the template again, and the block is looked up in it. The result is the current block. A
missing template or block is a `StaleStateError`. A template that no longer parses raises Django's own error.
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
from sealedsession.integrations.django.budget import current_budgets
from sealedsession.integrations.django.validation import check_type

_TEMPLATE = 64  # nodes: the time needed to parse a template, if no loader caches it
_NAME_MAX = 255  # characters of a name, as in most file systems. Django caches the names of missing templates.
# Raised by file systems for names that no template can have. Other errors, such as a broken disk, propagate.
_NAME_ERRORS = (EISDIR, ENAMETOOLONG, ENOTDIR)


def encode_block(block: Any) -> object:
    """Return the data of a reference to a block.

    :raises ValueError: if an engine does not find exactly this block in a template that it has loaded by name.
    """
    origin: Any = getattr(block, "origin", None)
    name = getattr(origin, "template_name", None)
    if not isinstance(name, str) or origin.loader is None or not _is_normalized(name):
        raise ValueError(f"the block {block.name!r} does not belong to a template that was loaded by name")
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates) and engine.engine is origin.loader.engine:
            paths = [path for path, found in _load_blocks(engine, name) if _is_same_block(found, block)]
            if len(paths) == 1:
                return (engine.name, name, paths[0])
    raise ValueError(f"the block {block.name!r} is missing from the template {name!r}, or is in it twice")


def decode_block(data: Any) -> tuple[str, str, tuple[str, ...]]:
    """Check the data of a reference to a block.

    :returns: name of the engine, name of the template, names of the blocks.
    :raises UnsealError: if it is invalid; also ValueError.
    """
    engine, template, path = check_type(data, tuple, length=3)
    for name in (engine, template, *check_type(path, tuple)):
        if not check_type(name, str).isprintable() or len(name) > _NAME_MAX:
            raise ValueError(f"the name of a template or block must have at most {_NAME_MAX} printable characters")
    return engine, template, path


def fetch_blocks(references: list[tuple[str, str, tuple[str, ...]]]) -> list[Any]:
    """Load the blocks of references, in the same order.

    :raises StaleStateError: if one of them no longer exists.
    """
    load = cache(_load_template_blocks)  # load each template once for all its blocks
    return [_find_block(load, *reference) for reference in references]


def load_template(backend: Any, name: str) -> Any:
    """Load a template by its name.

    A cached loader keeps a template for each spelling of its name, so only the normalized spelling is accepted.

    :raises TemplateDoesNotExist: if there is no such template, or no template can have this name.
    """
    if not name.isprintable() or not _is_normalized(name):
        raise TemplateDoesNotExist(name)
    try:
        return backend.engine.get_template(name)
    except TemplateDoesNotExist:
        _forget_missing(backend.engine, name)
        raise
    except OSError as error:
        if error.errno not in _NAME_ERRORS:
            raise
        raise TemplateDoesNotExist(name) from error


def _is_normalized(name: str) -> bool:
    """Return whether a template's name is the shortest spelling of its path."""
    return posixpath.normpath(name) == name and "\\" not in name and not name.startswith(("/", ".."))


def _forget_missing(engine: Any, name: str) -> None:
    """Remove the name of a missing template from caches. Forged tokens could fill them with names."""
    for loader in engine.template_loaders:
        if isinstance(loader, CachedLoader):
            loader.get_template_cache.pop(loader.cache_key(name), None)


def _load_template_blocks(engine: str, template: str) -> dict[tuple[str, ...], Any]:
    current_budgets().decoding.pay(_TEMPLATE)
    backend = engines[engine]
    blocks = [*_load_blocks(backend, template)] if isinstance(backend, DjangoTemplates) else []
    return dict(reversed(blocks))  # the first of several blocks with one path


def _find_block(load: Callable[[str, str], Any], engine: str, template: str, path: tuple[str, ...]) -> Any:
    stale = StaleStateError(f"the block {'.'.join(path)[:60]!a} of the template {template[:60]!a} no longer exists")
    try:
        block = load(engine, template).get(path)
    except (InvalidTemplateEngineError, TemplateDoesNotExist) as error:
        raise stale from error
    if block is None:
        raise stale
    return block


def _load_blocks(backend: Any, template: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    return _walk_blocks(load_template(backend, template).nodelist, ())


def _walk_blocks(nodes: Any, enclosing: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the node of each block."""
    for node in nodes:
        path = enclosing
        if isinstance(node, BlockNode):
            path = (*enclosing, node.name)
            yield path, node
        for attribute in node.child_nodelists:
            yield from _walk_blocks(getattr(node, attribute, None) or (), path)


def _is_same_block(found: Any, block: Any) -> bool:
    """Return whether two nodes are the same block. Without a cached loader, each load parses new nodes."""
    return found is block or (found.name == block.name and found.token.lineno == block.token.lineno)
