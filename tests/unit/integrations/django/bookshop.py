"""Rows for the models of testapp."""

import datetime

from testapp.models import Author, Book, Branch, Edition, Genre, Note, Page, Publisher, Quote, Review, Tag


def stock() -> None:
    """Create a few rows of every model, some of them with equal values."""
    ada = Author.objects.create(name="Ada", email="ada@example.org", notes={"a": {"b": 3}, "x": 1})
    bob = Author.objects.create(name="Bob", mentor=ada, born=datetime.date(1970, 1, 1))
    cid = Author.objects.create(name="Cid", mentor=bob, email="cid@example.org")
    old, new = Tag.objects.create(name="old"), Tag.objects.create(name="new")
    poems = Genre(name="poems")
    poems.save()
    house = Publisher.objects.create(name="House")
    year = datetime.datetime(2020, 2, 28, 12, tzinfo=datetime.UTC)
    for number, (author, editor, pages, tags) in enumerate(
        [(ada, None, None, [old]), (ada, bob, 100, [old, new]), (bob, ada, 300, []), (cid, cid, 100, [new])]
    ):
        book = Book.objects.create(
            title="ABCD"[number],
            isbn=f"isbn-{number}",
            price=5 * number,
            pages=pages,
            rating=number / 2,
            author=author,
            editor=editor,
            publisher=house if number % 2 else None,
            added=year.replace(year=2018 + number) if number else None,
            sold_in=datetime.timedelta(days=number),
            sample=f"samples/{number}.pdf",
        )
        book.tags.set(tags)
        book.genres.add(poems)
        for stars in range(number):
            Review.objects.create(book=book, stars=stars, text="good" if stars else None)
            Page.objects.create(book=book, number=stars, text="once upon")
        if number:
            Quote.objects.create(book_id=book.pk, number=0, text="once")
        Edition.objects.create(book=book, year=2000 + number)
        book.comments.create(text="nice" if number else "odd", about=book)
    Review.objects.create(stars=5, text="of nothing")
    main = Branch.objects.create(name="main", opened=datetime.date(2000, 1, 1))
    side = Branch.objects.create(name="side", head=main)
    main.sells.set(Book.objects.all())
    side.sells.set(Book.objects.filter(pages=100))
    for text, hidden in (("seen", False), ("unseen", True), ("again", False)):
        Note(text=text, hidden=hidden).save()
