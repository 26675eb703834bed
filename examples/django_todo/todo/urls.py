"""The URLs of the page and of its calls."""

from django.urls import path

from sealedsession.integrations.django.shortcuts import handle

from .views import page

urlpatterns = [
    path("", page, name="page"),
    path("state/", handle, name="state"),
]
