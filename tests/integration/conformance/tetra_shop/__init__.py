"""A Django application with Tetra components in its pages, for the stories."""
