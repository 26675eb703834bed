"""Stories of Tetra components that are sealed into a page and resumed by a call.

test_tetra.py runs them twice: on Tetra's own state layer, and on this library's. Stories marked with `ours` run only on
the latter.
"""

import datetime
import gzip
import html
import json
import pickle
import re
import textwrap
from decimal import Decimal
from pathlib import Path

import pytest
import tetra_shop
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.db.models.fields.files import FieldFile
from django.template import RequestContext, Template
from django.template.loader import render_to_string
from django.test import Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils.functional import SimpleLazyObject, cached_property
from django.utils.safestring import SafeString, mark_safe
from tetra import Component, Library, exceptions, state
from tetra.middleware import TetraDetails
from tetra.utils import NamedTemporaryUploadedFile
from tetra_shop.models import Item, Kind
from tetra_shop.parts import Basket, Card, Price, Shelf, shop
from tetra_shop.setup import Money

from sealedsession.errors import NotSerializableError, StateTooLargeError, UnsealError
from sealedsession.integrations import tetra
from sealedsession.integrations.django import conf
from sealedsession.state.registry import StateRegistry
from sealedsession.state.sealer import StateSealer

urlpatterns = [path("tetra/", include("tetra.urls"))]
HAS_STALE = hasattr(exceptions, "StaleComponentStateError")  # and one URL for all calls, since 0.9

ours = pytest.mark.ours


@pytest.fixture(autouse=True)
def classes_may_have_changed():
    tetra._find_methods.cache_clear()
    tetra._find_class_names.cache_clear()


@pytest.fixture(autouse=True)
def tables():
    """Roll back what a story writes into the database."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def uploads(tmp_path):
    path = tmp_path / "uploads"
    path.mkdir()
    with override_settings(MEDIA_ROOT=str(tmp_path), TETRA_TEMP_UPLOAD_PATH="uploads"):
        yield path


def make_request(session=None, user=None):
    request = RequestFactory().get("/")
    request.session = session or SessionStore()
    if not request.session.session_key:
        request.session.create()
    request.user = user or AnonymousUser()
    request.tetra, request.tetra_components_used = TetraDetails(request), set()
    return request


def back(token, cls, request):
    return cls.from_state({"encrypted": token, "data": {"key": "k"}}, request)


def resumed(component):
    """Return the component in the next request of its session."""
    token = state.encode_component(component)
    return back(token, type(component), make_request(component.request.session, component.request.user))


def make_basket(thing, **options):
    basket = Basket(make_request(**options), key="k")
    basket.thing = thing
    return basket


def kept(value):
    """Return a value after it was sealed and resumed."""
    return resumed(make_basket(value)).thing


def token_in(page):
    """Return the token of the first component in a page."""
    text = html.unescape(page).encode().decode("unicode_escape")
    return re.search(r'"__state": ?"([^"]+)"', text)[1]


# ------------------------------------------------------------------------------------------------------- any component


def test_attributes_come_back():
    """Public and private attributes of a component are restored."""
    basket = Basket(make_request(), key="k")
    basket.note = "ring twice"
    basket.lines = [{"name": "Moby-Dick", "count": 2, "price": Decimal("9.90"), "sent": None}]
    basket.since = datetime.datetime(2026, 2, 3, 4, 5, tzinfo=datetime.UTC)
    basket.tags = {"new", "gift"}
    again = resumed(basket)
    assert again is not basket
    for name in ("note", "lines", "since", "tags", "attrs", "component_id"):
        assert getattr(again, name) == getattr(basket, name)


def test_load_runs_again():
    """Attributes that `load` sets are not sealed. `load` runs again with the same arguments."""
    item = Item.objects.create(name="Moby-Dick")
    price = Price(make_request(), key="k", item_id=item.pk, currency="CHF")
    Item.objects.update(name="Emma")
    again = resumed(price)
    assert (again.item, again.item.name, again.currency) == (item, "Emma", "CHF")


def test_load_that_finds_nothing():
    """An error of `load` propagates, or is handled by Tetra since 0.9."""
    item = Item.objects.create(name="Moby-Dick")
    request = make_request()
    token = state.encode_component(Price(request, key="k", item_id=item.pk))
    item.delete()
    with pytest.raises(getattr(exceptions, "StaleComponentStateError", Item.DoesNotExist)):
        back(token, Price, request)


def test_a_component_is_no_other_one():
    """A token of one component does not resume another one of the same session."""
    request = make_request()
    token = state.encode_component(Basket(request, key="k"))
    with pytest.raises(TypeError):
        back(token, Card, request)
    assert back(token, Component, request).note == ""


def test_methods_work_on_what_came_back():
    """A public method changes the state, and the next token has the change."""
    again = resumed(Basket(make_request(), key="k"))
    Basket.write.__wrapped__(again, "leave it outside")
    assert resumed(again).note == "leave it outside"


@pytest.mark.parametrize("other", ["session", "user", "signed in"])
def test_a_token_is_its_owners(other):
    """A token is refused for another session or user."""
    request = make_request(user=AnonymousUser() if other == "signed in" else User(username="anna"))
    token = state.encode_component(Basket(request, key="k"))
    session = None if other == "session" else request.session
    someone = make_request(session, User(username="anna" if other == "session" else "bertha"))
    with pytest.raises(Exception) as caught:  # noqa: PT011  # the two layers have errors of their own
        back(token, Basket, someone)
    assert not isinstance(caught.value, AssertionError)
    assert back(token, Basket, request).note == ""


def test_a_changed_token_is_refused():
    """A changed token is refused."""
    request = make_request()
    token = state.encode_component(Basket(request, key="k"))
    middle = len(token) // 2
    changed = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    with pytest.raises(Exception) as caught:  # noqa: PT011  # as above
        back(changed, Basket, request)
    assert not isinstance(caught.value, AssertionError)


# ---------------------------------------------------------------------------------------------------------- its values


def test_rows_are_fetched_again():
    """A row comes back with its current values, or as None if it no longer exists."""
    item = Item.objects.create(name="Moby-Dick")
    basket = make_basket([item, Item.objects.create(name="Emma")])
    token = state.encode_component(basket)
    Item.objects.filter(name="Emma").delete()
    Item.objects.update(name="Omoo")
    again = back(token, Basket, basket.request)
    assert again.thing == [item, None]
    assert again.thing[0].name == "Omoo"


def test_querysets_are_fetched_again():
    """A QuerySet finds the current rows."""
    Item.objects.create(name="Moby-Dick")
    basket = make_basket(Item.objects.filter(name__startswith="M").order_by("-name"))
    token = state.encode_component(basket)
    Item.objects.create(name="Mardi")
    Item.objects.create(name="Emma")
    again = back(token, Basket, basket.request)
    assert [item.name for item in again.thing] == ["Moby-Dick", "Mardi"]


def test_a_user_who_was_looked_up_late():
    """A lazy object such as request.user comes back as its row."""
    anna = User.objects.create(username="anna")
    lazy = SimpleLazyObject(lambda: User.objects.get(username="anna"))
    assert str(lazy) == "anna"
    assert kept(lazy) == anna


def test_safe_strings_stay_safe():
    """A safe string stays safe, and other strings are still escaped."""
    assert type(kept(mark_safe("<b>"))) is SafeString
    assert type(kept("<b>")) is str


def test_uploads_are_found_again(uploads):
    """An upload of a form is available until the form is submitted."""
    upload = NamedTemporaryUploadedFile(name="cv.txt", content_type="text/plain", size=5, charset="utf-8")
    upload.file.write(b"hello")
    upload.file.flush()
    again = kept(upload)
    assert (again.name, again.size, again.content_type, again.read()) == ("cv.txt", 5, "text/plain", b"hello")
    assert again.temporary_file_path() == upload.temporary_file_path()


def test_slots_of_a_template_are_shown_again():
    """Slots that a page fills are rendered again after a call."""
    request = make_request()
    page = render_to_string("tetra_shop/page.html", request=request)
    assert "from the page: nothing" in page
    assert "from the page: nothing" in back(token_in(page), Card, request).render()


def test_slots_of_a_component_are_shown_again():
    """Slots that another component fills are rendered again after a call."""
    request = make_request()
    card = html.unescape(Shelf(request, key="s").render()).split("tetra_shop__shop__card", 1)[1]
    again = back(token_in(card), Card, request)
    assert "from the shelf: nothing" in again.render()


# --------------------------------------------------------------------------------------------------------- ours alone


@ours
def test_only_registered_components_are_sealed():
    """Sealing a component that is not in a library, or was replaced there, is an error that names it."""

    class Loose(Component):
        template = "<div></div>"

    loose = Loose.__new__(Loose)
    loose.request = make_request()
    with pytest.raises(NotSerializableError, match="Loose: "):
        state.encode_component(loose)


@ours
def test_a_component_that_is_gone(monkeypatch):
    """A component that is no longer registered is stale."""
    request = make_request()
    token = state.encode_component(Basket(request, key="k"))
    monkeypatch.delitem(shop.components, "basket")
    with pytest.raises(Exception, match=r"'basket' .*'shop'") as caught:
        back(token, Basket, request)
    assert type(caught.value).__name__ in ("StaleStateError", "StaleComponentStateError")


@ours
def test_what_is_not_registered_names_its_path():
    """Sealing a value of another class is an error with its path."""
    with pytest.raises(NotSerializableError, match=re.escape("Basket['thing'][0]['of']: ")):
        state.encode_component(make_basket([{"of": re.compile("x")}]))


@ours
def test_no_room():
    """Sealing too much is an error that names the attribute."""
    with pytest.raises(StateTooLargeError, match="'thing'"):
        state.encode_component(make_basket("".join(map(chr, range(1000, 60_000)))))


@ours
def test_one_query_for_rows_of_a_model():
    """All rows of a model are fetched with one query. A QuerySet is not evaluated."""
    items = Item.objects.bulk_create(Item(name=str(number)) for number in range(5))
    basket = make_basket([Item.objects.get(name=item.name) for item in items] + [Item.objects.filter(name="1")])
    token = state.encode_component(basket)
    basket.request.session.keys()
    with CaptureQueriesContext(connection) as queries:
        again = back(token, Basket, basket.request)
    assert len(queries) == 1
    assert [item.name for item in again.thing[:5]] == [item.name for item in items]


@ours
def test_one_query_for_rows_that_are_gone():
    """One query fetches all rows of a model, also if some are missing or were never saved."""
    items = Item.objects.bulk_create(Item(name=str(number)) for number in range(9))
    basket = make_basket([*items, Item(name="never saved"), *[item.picture for item in items]])
    token = state.encode_component(basket)
    Item.objects.exclude(name="3").delete()
    with CaptureQueriesContext(connection) as queries:
        thing = back(token, Basket, basket.request).thing
    assert len(queries) == 1
    assert [at for at, it in enumerate(thing) if it is not None] == [3, 13]
    assert (thing[3], type(thing[13])) == (items[3], FieldFile)


@ours
def test_a_file_of_a_row():
    """A file of a row comes back with the row, or as None if the row is missing or was never saved."""
    item = Item.objects.create(name="Moby-Dick", picture="pictures/whale.png")
    basket = make_basket({"file": item.picture, "unsaved": Item(picture="x.png").picture, "row": Item(name="Emma")})
    token = state.encode_component(basket)
    thing = back(token, Basket, basket.request).thing
    assert type(thing["file"]) is FieldFile
    assert (thing["file"].name, thing["file"].instance) == ("pictures/whale.png", item)
    assert (thing["unsaved"], thing["row"]) == (None, None)
    item.delete()
    assert back(token, Basket, basket.request).thing["file"] is None


@ours
def test_choices_and_small_files():
    """A member of an enum of choices comes back as its value, and a small upload with its content."""
    assert kept([Kind.TOY]) == ["toy"]
    file = kept(SimpleUploadedFile("cv.txt", b"hello", "text/plain"))
    assert (file.name, file.read(), file.content_type) == ("cv.txt", b"hello", "text/plain")


@ours
def test_types_of_the_project():
    """Types that the project has registered for sealed state can be in a component, too."""
    assert kept({"price": Money(990, "EUR")})["price"] == Money(990, "EUR")


@ours
def test_slots_of_a_nameless_template():
    """A block of a template without a name is not sealed."""
    page = Template("{% load tetra %}{% shop.Card %}{% slot title %}x{% endslot %}{% /shop.Card %}")
    with pytest.raises(NotSerializableError, match=r"Card\['_slots'\].*template"):
        page.render(RequestContext(make_request()))


@pytest.fixture
def as_it_was():
    """Install this library's layer again after a story."""
    yield
    tetra.install()


@ours
@pytest.mark.usefixtures("as_it_was")
def test_tokens_grow_old():
    """A token is accepted for TETRA_STATE_MAX_AGE seconds, by the clock of the settings."""
    now = 1_800_000_000.0
    options = {"STATE": {**settings.SEALEDSESSION["STATE"], "clock": lambda: now}}
    with override_settings(TETRA_STATE_MAX_AGE=600, SEALEDSESSION=options):
        tetra.install()
    request = make_request()
    token = state.encode_component(Basket(request, key="k"))
    now += 600
    assert back(token, Basket, request).note == ""
    now += 61  # the clocks of two machines may differ by 60
    with pytest.raises(UnsealError) as caught:
        back(token, Basket, request)
    assert caught.value.reason == "expired_idle"


@ours
def test_the_documentation():
    """The steps in docs/howto/tetra.rst are sufficient."""
    page = (Path(__file__).parents[3] / "docs" / "howto" / "tetra.rst").read_text()
    code = page.split("   :caption: shop/apps.py\n", 1)[1].split(".. code-block", 1)[0]
    names = {}
    exec(textwrap.dedent(code), names)
    names["ShopConfig"]("shop", tetra_shop).ready()
    assert kept("as before") == "as before"


@ours
def test_components_within_a_component():
    """A component inside another one comes back."""
    inner = Card(make_request(), key="c")
    inner.colour = "red"
    again = kept({"inner": inner})["inner"]
    assert (type(again), again.colour) == (Card, "red")


@ours
def test_what_is_around_a_component():
    """Only those variables of the context are sealed that nothing sets again."""
    request = make_request()
    context = {"page": 3, "note": "the component's own", "user": request.user, "True": True}
    basket = Basket(request, key="k", _context=context)
    again = state.decode_component(state.encode_component(basket), request)
    assert vars(again).get("_context", {"page": 3}) == {"page": 3}  # Tetra leaves all of it out since 0.9
    assert basket._context is context


@ours
def test_uploads_elsewhere_are_nobodys(uploads, tmp_path):
    """A file outside the upload folder is not sealed. A missing one comes back as None."""
    (tmp_path / "secret.txt").write_text("secret")
    upload = NamedTemporaryUploadedFile("x.txt", "text/plain", 6, "utf-8", temp_path=str(tmp_path / "secret.txt"))
    with pytest.raises(NotSerializableError, match=r"Basket\['thing'\]: "):
        state.encode_component(make_basket(upload))
    gone = NamedTemporaryUploadedFile("x.txt", "text/plain", 6, "utf-8")
    basket = make_basket(gone)
    token = state.encode_component(basket)
    for temporary in uploads.iterdir():
        temporary.unlink()
    assert back(token, Basket, basket.request).thing is None
    assert not list(uploads.iterdir())


class Forged:
    """Data written under the code of another type, as an attacker with the keys can."""

    def __init__(self, data):
        self.data = data


def forge(code, data, request):
    registry = StateRegistry()
    registry.register(Forged, code, encode=lambda forged: forged.data, decode=Forged)
    return forge_state({"": ("tetra_shop", "shop", "basket"), "thing": Forged(data)}, request, registry)


def forge_state(content, request, registry=None):
    options = {"registry": registry} if registry else {}
    sealer = StateSealer(**conf.state_keys(conf.state_options()), name="tetra", **options)
    return sealer.seal(content, session_id=request.session.session_key)


@ours
@pytest.mark.parametrize(
    "name",
    ["secret.txt", "../secret.txt", "/etc/passwd", "", ".", "..", "x\0y", "a" * 300, "\u20ac" * 99, "\ud800"],
    ids=lambda name: ascii(name[:9]),
)
def test_a_forged_upload_is_no_other_file(name, uploads):
    """A forged token cannot open a file outside the upload folder."""
    (uploads.parent / "secret.txt").write_text("secret")
    request = make_request()
    assert back(forge("tetra.upload", (name, "x.txt", 6, "text/plain"), request), Basket, request).thing is None


@ours
@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("tetra.upload", "secret.txt"),
        ("tetra.upload", ("secret.txt", "x.txt", "6", "text/plain")),
        ("tetra.block", ("tetra_shop", "shop", "card")),
        ("tetra.component", {"": ("tetra_shop", "shop", "card")}),
        ("tetra.component", ({"": "tetra_shop.parts.Card"},)),
        ("tetra.component", ({"": ("tetra_shop", "shop", 1)},)),
        ("tetra.component", ({},)),
        ("tetra.component", ({"": ("tetra_shop", "shop", "card"), 5: 1},)),
        ("tetra.file", ("x.txt", "text/plain", "text")),
    ],
)
def test_forged_data_is_refused(code, data):
    """Invalid data is refused."""
    request = make_request()
    with pytest.raises(UnsealError) as caught:
        back(forge(code, data, request), Basket, request)
    assert caught.value.reason == "forbidden_value"


@ours
@pytest.mark.parametrize(
    "data",
    [
        ("tetra_shop", "shop", "card", "block:no:0"),
        *[("", "", name, "x") for name in ("no/such.html", "", ".", "..", "a" * 300, "tetra_shop/page.html/x", "x\0y")],
    ],
)
def test_blocks_that_are_gone(data):
    """A missing block of a template is stale."""
    request = make_request()
    with pytest.raises(Exception, match=r"'.*' of '.*'") as caught:
        back(forge("tetra.block", data, request), Basket, request)
    assert type(caught.value).__name__ in ("StaleStateError", "StaleComponentStateError")


@ours
def test_what_is_in_the_way_of_a_method(monkeypatch):
    """Sealing an attribute with the name of a method is an error. A state with one is stale."""
    basket = make_basket(None)
    basket.total = 9
    token = state.encode_component(basket)
    basket.write = "by hand"
    with pytest.raises(NotSerializableError, match=r"Basket\.write: "):
        state.encode_component(basket)
    for member in (lambda basket: 9, property(lambda basket: 9), classmethod(lambda cls: 9), staticmethod(lambda: 9)):
        monkeypatch.setattr(Basket, "total", member, raising=False)
        tetra._find_methods.cache_clear()  # a class that is in use does not change otherwise
        with pytest.raises(Exception, match=r"\['total'\]") as error:
            back(token, Basket, basket.request)
        assert type(error.value).__name__ in ("StaleStateError", "StaleComponentStateError")


@ours
@pytest.mark.parametrize("name", ["client", "write", "_call_load", "__getstate__"])
def test_forged_methods(name):
    """A forged token cannot replace a method, nor one of Tetra's own."""
    request = make_request()
    token = forge("tetra.component", ({"": ("tetra_shop", "shop", "basket"), name: bytearray()},), request)
    with pytest.raises(Exception, match=re.escape(f"{[name]}")) as caught:
        back(token, Basket, request)
    assert type(caught.value).__name__ in ("StaleStateError", "StaleComponentStateError")


TETRAS_OWN = [
    "__abstract__", "__annotations__", "__class__", "__dict__", "__doc__", "__module__", "_callback_queue",
    "_excluded_load_props_from_saved_state", "_excluded_props_from_saved_state", "_is_resumed_from_state", "_library",
    "_loaded_children_state", "_name", "_public_methods", "_public_properties", "_resumed_from_state_data", "_template",
    "_temp_files", "request", "script", "style", "template",
]  # fmt: skip


@ours
@pytest.mark.parametrize("name", TETRAS_OWN)
@pytest.mark.parametrize("inside", [False, True], ids=["whole", "inside"])
def test_forged_names_of_the_class(name, inside):
    """A forged token cannot set what Tetra keeps in a class, or excludes from a state."""
    request = make_request()
    forged_state = {"": ("tetra_shop", "shop", "basket"), name: [], "note": "forged"}
    token = forge("tetra.component", (forged_state,), request) if inside else forge_state(forged_state, request)
    with pytest.raises(Exception, match=re.escape(name)) as caught:
        back(token, Basket, request)
    assert type(caught.value).__name__ in ("StaleStateError", "StaleComponentStateError")


@ours
def test_a_component_that_leaves_something_out(monkeypatch):
    """A token cannot set attributes that a component excludes from its state."""
    excluded = [*Basket._excluded_props_from_saved_state, "secret"]
    monkeypatch.setattr(Basket, "_excluded_props_from_saved_state", excluded, raising=False)
    tetra._find_class_names.cache_clear()
    basket = make_basket(1)
    basket.secret = "by the server"
    again = resumed(basket)
    assert (again.thing, hasattr(again, "secret")) == (1, False)
    request = make_request()
    token = forge_state({"": ("tetra_shop", "shop", "basket"), "secret": "by a client"}, request)
    with pytest.raises(Exception, match="secret"):
        back(token, Basket, request)


@ours
def test_what_has_a_name_of_the_class():
    """Sealing an attribute under a name that Tetra uses in the class is an error."""
    basket = make_basket(1)
    basket.style = "by hand"
    with pytest.raises(NotSerializableError, match=r"Basket\.style"):
        state.encode_component(basket)


@ours
def test_an_attribute_with_a_default():
    """An attribute of the project with a default in the class is sealed, private or not."""
    shelf = Shelf(make_request(), key="k")
    shelf._row, shelf.label = 2, "new"
    again = resumed(shelf)
    assert (again._row, again.label) == (2, "new")


@ours
def test_what_was_computed_once(monkeypatch):
    """A cached property comes back with its value."""
    monkeypatch.setattr(Basket, "total", cached_property(lambda basket: 9), raising=False)
    Basket.total.__set_name__(Basket, "total")
    basket = make_basket(None)
    assert basket.total == 9
    assert vars(resumed(basket))["total"] == 9


class Bomb:
    went_off = False

    def __reduce__(self):
        return setattr, (Bomb, "went_off", True)


@ours
def test_a_pickle_is_not_a_token():
    """A token of Tetra's own layer is refused without reading its pickle."""
    request = make_request()
    token = state._get_fernet_for_request(request).encrypt(gzip.compress(pickle.dumps(Bomb()))).decode()
    with pytest.raises(UnsealError) as caught:
        back(token, Basket, request)
    assert caught.value.reason in ("malformed", "unknown_key")
    assert not Bomb.went_off


@ours
@override_settings(
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "tetra.middleware.TetraMiddleware",
        "sealedsession.integrations.django.middleware.StateErrorMiddleware",
    ],
)
@pytest.mark.parametrize(
    ("read_token", "status", "code"),
    [("this", 200, None), ("another", 403, "ForeignState"), ("nobody", 400, "MalformedState"), ("gone", 410, "Stale"),
     ("component", 400, "BadCall")],
)  # fmt: skip
def test_calls_over_http(read_token, status, code, monkeypatch):
    """Calls over HTTP are answered. An invalid token is not a server error."""
    for name in ("js_url", "styles_url"):
        monkeypatch.setattr(Library, name, "built elsewhere")
    client = Client()
    session = client.session
    session.save()
    owner = make_request(session if read_token != "another" else None)
    token = {
        "nobody": lambda: "no token",
        "component": lambda: state.encode_component(Card(owner, key="k")),
        "gone": lambda: forge("tetra.component", ({"": ("tetra_shop", "shop", "gone")},), owner),
    }.get(read_token, lambda: state.encode_component(Basket(owner, key="k")))()
    response = client.post(*make_call(token, "write", "leave it outside"), content_type="application/json")
    assert response.status_code == status
    if code:
        assert code in response.json()["error"]["code"]
    else:
        assert "leave it outside" in response.content.decode()


def make_call(token, method, *args):
    """Return URL and body of a call, as Tetra's browser code sends it."""
    if not HAS_STALE:
        body = {"encrypted": token, "data": {"key": "k"}, "children": [], "args": args}
        return f"/tetra/tetra_shop/shop/basket/{method}", json.dumps(body)
    where = {"app_name": "tetra_shop", "library_name": "shop", "component_name": "basket", "method": method}
    state_sent = {"encrypted_state": token, "state": {"key": "k"}, "children_state": [], "args": args}
    return "/tetra/call/", json.dumps({"protocol": "tetra-1.0", "id": "1", "payload": {**where, **state_sent}})
