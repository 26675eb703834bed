"""The guards of mutations.py, which is a command of its own and takes hours."""

import pytest

from tests.mutations import MUTATIONS, Mutation, mutated


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_guard_is_there(mutation: Mutation) -> None:
    """What a row takes out is in its module exactly once, and what is left compiles."""
    assert mutated(mutation)
