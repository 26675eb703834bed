"""Settings for development. The lines that sealed state needs are marked."""

import os
import secrets
from pathlib import Path

BASE_DIR = Path(__file__).parent

DEBUG = True

# The keys of sealed state are derived from this secret. If the environment does not set it, each restart makes a new
# one, and pages that were loaded before the restart are refused.
SECRET_KEY = os.environ.get("SECRET_KEY") or secrets.token_urlsafe(48)

INSTALLED_APPS = [
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "sealedsession.integrations.django",  # sealed state
    "todo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "sealedsession.integrations.django.middleware.StateErrorMiddleware",  # sealed state
]

ROOT_URLCONF = "todo.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("TODO_DATABASE", BASE_DIR / "todo.sqlite3"),
    }
}

STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
