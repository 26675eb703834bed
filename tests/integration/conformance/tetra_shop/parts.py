"""The components of the stories. They are registered by hand, so that a story can take one away again."""

from tetra import Component, Library, public

from .models import Item

shop = Library("shop", "tetra_shop")


@shop.register
class Basket(Component):
    """Whatever a story puts into it."""

    template = "<div>{{ note }}</div>"
    note = public("")

    @public
    def write(self, note):
        self.note = note


@shop.register
class Price(Component):
    """Loads what it shows."""

    template = "<div>{{ item.name }}</div>"

    def load(self, item_id, currency="EUR"):
        self.item = Item.objects.get(pk=item_id)
        self.currency = currency


@shop.register
class Card(Component):
    """Shows what the page around it puts into it."""

    template = "<div>{% block title %}no title{% endblock %}: {% block body %}nothing{% endblock %}</div>"


@shop.register
class Shelf(Component):
    """Has a card in a template of its own, and attributes with defaults."""

    _row = 1
    label = "old"
    template = "<div>{% shop.Card %}{% slot title %}from the shelf{% endslot %}{% /shop.Card %}</div>"
