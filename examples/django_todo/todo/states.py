"""The objects that live in the page. What their methods are called with comes from a browser: it can be any JSON."""

from django.forms import modelform_factory

from sealedsession.errors import StateError
from sealedsession.integrations.django.shortcuts import register
from sealedsession.state import Resumable, public

from .models import Item

ItemForm = modelform_factory(Item, fields=["title"])


@register
class TodoItem(Resumable):
    """One item. The page has a reference to its row, which is fetched at every call; without the row it is stale."""

    def load(self, item):
        self.item = item

    @public
    def mark(self, done):
        """Whether it is done now. It is told, and not turned round: somebody else may have been faster."""
        self.item.done = done is True
        self.item.save(update_fields=["done"])  # and nothing else: somebody may have renamed it meanwhile
        return self.item.done

    @public
    def rename(self, title):
        """The title that it has now: the new one, if that can be one."""
        if ItemForm({"title": title}, instance=self.item).is_valid():
            self.item.save(update_fields=["title"])
        else:
            self.item.refresh_from_db()
        return self.item.title

    @public
    def delete(self):
        """Delete the row. The instance keeps its pk so, and can be sealed for the answer."""
        Item.objects.filter(pk=self.item.pk).delete()


@register
class TodoList(Resumable):
    """The list. The page has the recipe of a query, and no row; each search asks the database anew."""

    def load(self, items):
        self.items = items

    @public
    def search(self, text):
        """The pks of the items whose title has the text in it."""
        if not isinstance(text, str) or len(text) > 80:
            raise StateError("search takes a text of at most 80 characters")
        return list(self.items.filter(title__icontains=text).values_list("pk", flat=True))
