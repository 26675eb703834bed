"""A Django application whose pages hold components of Tetra. The stories are told of it."""
