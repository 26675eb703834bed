"""The objects in the page. The arguments of their public methods come from a browser, and can be any JSON."""

from django.forms import modelform_factory

from sealedsession.errors import StateError
from sealedsession.integrations.django.shortcuts import register
from sealedsession.state import Resumable, public

from .models import Item

ItemForm = modelform_factory(Item, fields=["title"])


@register
class TodoItem(Resumable):
    """One item. The page contains a reference to its row, which is fetched for every call.

    After the row was deleted, the state is stale.
    """

    def load(self, item):
        self.item = item

    @public
    def mark(self, done):
        """Set whether the item is done. A toggle could undo the change of another user."""
        self.item.done = done is True
        self.item.save(update_fields=["done"])  # another user may have renamed the item in the meantime
        return self.item.done

    @public
    def rename(self, title):
        """Change the title if the new one is valid, and return the current title."""
        if ItemForm({"title": title}, instance=self.item).is_valid():
            self.item.save(update_fields=["title"])
        else:
            self.item.refresh_from_db()
        return self.item.title

    @public
    def delete(self):
        """Delete the row by a query. The instance keeps its pk, so that it can be sealed for the response."""
        Item.objects.filter(pk=self.item.pk).delete()


@register
class TodoList(Resumable):
    """The list. The page contains the query and no rows, and each search executes the query again."""

    def load(self, items):
        self.items = items

    @public
    def search(self, text):
        """Return the pks of the items whose title contains the text."""
        if not isinstance(text, str) or len(text) > 80:
            raise StateError("text: it must be a str of at most 80 characters")
        return list(self.items.filter(title__icontains=text).values_list("pk", flat=True))
