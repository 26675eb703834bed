"""A bookshop: models with every kind of key, relation, manager and inheritance that state refers to."""

import uuid

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Publisher(models.Model):
    name = models.CharField(max_length=50)


class Author(models.Model):
    name = models.CharField(max_length=50)
    email = models.EmailField(null=True)
    born = models.DateField(null=True)
    mentor = models.ForeignKey("self", models.CASCADE, null=True, related_name="pupils")
    notes = models.JSONField(default=dict)


class Tag(models.Model):
    name = models.CharField(max_length=50)


class Comment(models.Model):
    text = models.CharField(max_length=50)
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.BigIntegerField()
    about = GenericForeignKey()


class BookQuerySet(models.QuerySet):
    def cheap(self):
        return self.filter(price__lt=10)


class CheapBooks(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(price__lt=10)


class Counted(models.Manager):
    def get_queryset(self):
        return super().get_queryset().annotate(n=models.Count("books")).filter(n__gt=0)


class Genre(models.Model):
    """Its default manager annotates."""

    name = models.CharField(max_length=50)

    objects = Counted()


class Book(models.Model):
    class Status(models.TextChoices):
        DRAFT = "draft"
        PRINTED = "printed"

    title = models.CharField(max_length=50)
    isbn = models.CharField(max_length=13, unique=True)
    price = models.DecimalField(max_digits=6, decimal_places=2, default="9.99")
    pages = models.IntegerField(null=True)
    rating = models.FloatField(null=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.PRINTED)
    in_print = models.BooleanField(default=True)
    added = models.DateTimeField(null=True)
    sold_in = models.DurationField(null=True)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    editor = models.ForeignKey(Author, models.SET_NULL, null=True, related_name="edited")
    publisher = models.ForeignKey(Publisher, models.SET_NULL, null=True)
    tags = models.ManyToManyField(Tag, related_name="books")
    genres = models.ManyToManyField(Genre, related_name="books")
    comments = GenericRelation(Comment, related_query_name="books")
    sample = models.FileField(upload_to="samples")
    cover = models.ImageField(upload_to="covers")

    objects = models.Manager.from_queryset(BookQuerySet)()
    cheap = CheapBooks()


class Bestseller(Book):
    class Meta:
        proxy = True


class Review(models.Model):
    book = models.ForeignKey(Book, models.CASCADE, null=True, related_name="reviews")
    stars = models.IntegerField()
    text = models.CharField(max_length=50, null=True)


class Edition(models.Model):
    """Refers to a book by its ISBN."""

    book = models.ForeignKey(Book, models.CASCADE, to_field="isbn", related_name="editions")
    year = models.IntegerField()


class Page(models.Model):
    """Its key is of two columns."""

    pk = models.CompositePrimaryKey("book_id", "number")
    book = models.ForeignKey(Book, models.CASCADE)
    number = models.IntegerField()
    text = models.CharField(max_length=50)


class Quote(models.Model):
    """Refers to a page by two columns."""

    book_id = models.BigIntegerField()
    number = models.IntegerField()
    page = models.ForeignObject(
        Page, models.CASCADE, ["book_id", "number"], ["book_id", "number"], related_name="quotes"
    )
    text = models.CharField(max_length=50)


class Place(models.Model):
    name = models.CharField(max_length=50)


class Shop(Place):
    sells = models.ManyToManyField(Book)
    opened = models.DateField(null=True)


class Branch(Shop):
    """A grandchild; and its key is a foreign key of a foreign key."""

    head = models.ForeignKey(Shop, models.CASCADE, null=True, related_name="branches")


class Ticket(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    subject = models.CharField(max_length=50)


class Country(models.Model):
    code = models.CharField(max_length=2, primary_key=True)


class Holiday(models.Model):
    day = models.DateField(primary_key=True)


class Shown(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(hidden=False)


class Note(models.Model):
    """Its default manager does not show every row."""

    text = models.CharField(max_length=50)
    hidden = models.BooleanField(default=False)

    objects = Shown()

    class Meta:
        ordering = ["-text"]
