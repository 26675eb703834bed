"""What is stored."""

from django.db import models


class Item(models.Model):
    """Something to do."""

    title = models.CharField(max_length=80)
    done = models.BooleanField(default=False)

    class Meta:
        ordering = ("-pk",)

    def __str__(self):
        return self.title
