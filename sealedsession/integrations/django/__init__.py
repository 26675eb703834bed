"""Sealed state in a Django project; extra ``[django]``."""
