"""The view of the page. The page then calls the objects in states.py."""

from django.shortcuts import redirect, render

from sealedsession.integrations.django.shortcuts import seal

from .models import Item
from .states import ItemForm, TodoItem, TodoList


def page(request):
    """Show all items, and add one."""
    form = ItemForm(request.POST or None)
    if form.is_valid():
        form.save()
        return redirect("page")
    items = Item.objects.all()
    context = {
        "form": form,
        "list_token": seal(TodoList(items), request),
        "items": [(item, seal(TodoItem(item), request)) for item in items],
    }
    return render(request, "todo/page.html", context)
