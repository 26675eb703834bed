"""A list of things to do that several people change at once: Django, with what a click needs sealed into the page.

    pip install 'sealedsession[django]'
    python examples/django_todo/manage.py

serves it at http://localhost:8000/, with the database in todo.sqlite3 beside this file. Open it in two browsers, delete
an item in one, and click on it in the other. Any other command of Django's can be given as well.

What to look at: todo/states.py, the objects that live in the page; todo/views.py, where they are sealed; todo/urls.py,
where calls arrive; and todo/static/todo/todo.js, which makes them.
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
