"""The application: a list that everybody shares."""
