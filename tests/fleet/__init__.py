"""Several real servers at once: what they share, keys and revocations, changes while they run."""
