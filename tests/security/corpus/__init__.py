"""Hostile and well-behaved payloads for the allow-list pickle, and the command that runs them.

`cases` collects the cases, `run` runs them: ``python -m tests.security.corpus.run``.
"""
