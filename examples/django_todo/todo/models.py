"""The database model."""

from django.db import models


class Item(models.Model):
    """An item of the list."""

    title = models.CharField(max_length=80)
    done = models.BooleanField(default=False)

    class Meta:
        ordering = ("-pk",)

    def __str__(self):
        return self.title
