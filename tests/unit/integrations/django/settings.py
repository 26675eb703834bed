"""The settings of the test project. conftest.py configures Django with them."""

SECRET_KEY = "yq2LbVtV0cJkUe3hSPa8mXn5wRzD7fGoKiTBC1_uQ9s"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "sealedsession.integrations.django",
    "testapp",
]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    "other": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
# Tables are created from the models. Migrations would take seconds, with the same result.
MIGRATION_MODULES = dict.fromkeys(("contenttypes", "auth", "sessions"))
SILENCED_SYSTEM_CHECKS = ["fields.E210"]  # no test opens an image, which would need Pillow
