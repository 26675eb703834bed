"""Sealed state in Django projects. Install the extra ``[django]``."""
