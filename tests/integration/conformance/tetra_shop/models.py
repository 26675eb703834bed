"""What is sold, and whose pictures are kept."""

from django.db import models


class Kind(models.TextChoices):
    BOOK = "book"
    TOY = "toy"


class Item(models.Model):
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.BOOK)
    picture = models.FileField(upload_to="pictures/", blank=True)
