"""server/storage.py: how an engine reaches its journal."""

from types import SimpleNamespace

import pytest

from portico.errors import JournalUnavailable, SecretMissing
from portico.server.storage import Storage
from portico.spec.secrets import Secret

URL = Secret.parse("${file:secrets/url}")


def storage(folder):
    """Of a site whose journal's URL is in a file."""
    journal = SimpleNamespace(url=URL, binaries=None)
    config = SimpleNamespace(journal=journal, data="var")
    return Storage(SimpleNamespace(root=folder, config=config), {}, SimpleNamespace())


async def test_a_password_that_is_being_exchanged_is_asked_for_again(tmp_path):
    """The writer, the beat and the reader try again as if the database were away."""
    here = storage(tmp_path)
    with pytest.raises(JournalUnavailable):
        here.conninfo()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/url").write_text("postgresql://db/x")

    assert here.conninfo() == "postgresql://db/x"


async def test_a_password_that_is_missing_at_the_start_is_an_error_of_the_site(tmp_path):
    """Nobody waits for a database that cannot be reached."""
    with pytest.raises(SecretMissing):
        await storage(tmp_path).open(lambda: None)
