"""QuerySets in sealed state. The token holds a recipe of a QuerySet: plain data, described in `spec`.

1. A recipe describes the query. Fetched rows and Django's objects are not sealed.
2. `encode` reads a recipe from a QuerySet, decodes the recipe again, and compares the two QuerySets. A recipe of
   another query is never sealed.
3. `decode` builds a QuerySet that has not been evaluated. Neither direction runs a query.
4. The cost of all recipes in a payload is limited, see `budget`.

Imports run in one direction: encode -> decode -> {decode_expressions, joins, fingerprint} -> spec.
"""

from sealedsession.integrations.django.querysets.decode import decode_recipe as decode_recipe
from sealedsession.integrations.django.querysets.decode import fetch_querysets as fetch_querysets
from sealedsession.integrations.django.querysets.encode import encode_queryset as encode_queryset

__all__ = ["decode_recipe", "encode_queryset", "fetch_querysets"]
