"""catalog.py: types by their YAML name."""

import dataclasses
from importlib.metadata import EntryPoint

import pytest

from portico import catalog
from portico.destinations import table as destinations
from portico.errors import TypeUnknown
from portico.listeners import table as listeners
from portico.steps import table as steps


@pytest.mark.parametrize("name", listeners.LISTENERS)
def test_every_listener_of_the_table_is_found_by_its_name(name):
    """The table's key and the type's own name agree."""
    assert catalog.listener(name).name == name


@pytest.mark.parametrize("name", destinations.DESTINATIONS)
def test_every_destination_of_the_table_is_found_by_its_name(name):
    """The same for destinations."""
    assert catalog.destination(name).name == name


@pytest.mark.parametrize("verb", steps.STEPS)
def test_every_verb_of_the_table_is_found(verb):
    """The same for steps."""
    assert catalog.step(verb).verb == verb


@pytest.mark.parametrize(
    ("look", "name", "hint"),
    [
        (catalog.listener, "mlpp", "did you mean 'mllp'?"),
        (catalog.listener, "htps", "did you mean 'https'?"),
        (catalog.destination, "foldr", "did you mean 'folder'?"),
        (catalog.step, "fliter", "did you mean 'filter'?"),
    ],
)
def test_a_misspelt_type_is_corrected(look, name, hint):
    """Types that come later are offered too: the next answer says so."""
    with pytest.raises(TypeUnknown) as raised:
        look(name)

    assert (raised.value.hint, raised.value.planned) == (hint, False)


@pytest.mark.parametrize(
    ("look", "shelf"),
    [
        (catalog.listener, "_LISTENERS"),
        (catalog.destination, "_DESTINATIONS"),
        (catalog.step, "_STEPS"),
    ],
)
def test_a_type_that_comes_later_says_so(look, shelf, monkeypatch):
    """Not unknown: planned."""
    later = dataclasses.replace(getattr(catalog, shelf), planned=("fax",))
    monkeypatch.setattr(catalog, shelf, later)

    with pytest.raises(TypeUnknown, match="not built yet") as raised:
        look("fax")

    assert raised.value.planned


@pytest.fixture
def extension(monkeypatch):
    """An installed package that brings a destination type `fax`."""
    points = {
        "fax": EntryPoint("fax", "portico.destinations.log:LOG", "portico.destinations"),
        "mllp": EntryPoint("mllp", "portico.destinations.log:LOG", "portico.destinations"),
        "odd": EntryPoint("odd", "portico.catalog:step", "portico.destinations"),
    }
    monkeypatch.setattr(catalog, "_extensions", lambda group: points)


def test_an_extension_is_found_by_its_entry_point(extension):
    """Group `portico.destinations`; it is listed among the others."""
    assert catalog.destination("fax").name == "log"
    assert "fax" in catalog.destinations_named()


def test_an_extension_never_hides_a_type_of_ours(extension):
    """`mllp` stays what the documentation describes."""
    assert catalog.destination("mllp").name == "mllp"


def test_an_entry_point_that_is_no_type_is_refused(extension):
    """A message instead of a crash at the first delivery."""
    with pytest.raises(TypeUnknown, match="is not a DestinationType"):
        catalog.destination("odd")
