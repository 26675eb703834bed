"""A to-do list that several people can change at the same time, in Django with sealed state.

    pip install 'sealedsession[django]'
    python examples/django_todo/manage.py

This serves the list at http://localhost:8000/. The database is todo.sqlite3, next to this file. Open the page in two
browsers, delete an item in one, and click on it in the other. All other commands of Django work, too.

todo/states.py defines the objects in the page, todo/views.py seals them, todo/static/todo/todo.js calls their methods,
and todo/urls.py routes the calls.
"""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    if len(sys.argv) > 1:
        execute_from_command_line(sys.argv)
        return
    port = os.environ.get("PORT", "8000")
    for command in (["migrate", "--run-syncdb", "--verbosity=0"], ["runserver", "--noreload", f"localhost:{port}"]):
        execute_from_command_line([sys.argv[0], *command])


if __name__ == "__main__":
    main()
