"""server/ground.py: what an engine stands on, laid while the rest of it is loaded."""

import asyncio
from types import SimpleNamespace

import pytest

from portico.clock import SystemClock
from portico.errors import ConfigError, JournalUnavailable, SecretMissing
from portico.journal.folder import Folder
from portico.server.ground import Ground
from portico.spec.secrets import Secret

URL = Secret.parse("${file:secrets/url}")


def ground(folder, url=URL, binaries=None):
    """Of a site whose journal's URL is in a file."""
    config = SimpleNamespace(journal=SimpleNamespace(url=url, binaries=binaries), data="var")
    (folder / "var").mkdir()
    return Ground(SimpleNamespace(root=folder, config=config), {}, SystemClock())


async def test_a_password_that_is_being_exchanged_is_asked_for_again(tmp_path):
    """The writer, the beat and the reader try again as if the database were away."""
    here = ground(tmp_path)
    with pytest.raises(JournalUnavailable):
        here.conninfo()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/url").write_text("postgresql://db/x")

    assert here.conninfo() == "postgresql://db/x"


@pytest.mark.parametrize(
    ("url", "binaries", "error"), [(URL, None, SecretMissing), (None, "nowhere", ConfigError)]
)
async def test_what_is_wrong_is_said_when_it_is_asked_for(tmp_path, url, binaries, error):
    """Nobody waits for a database that cannot be reached, nor for programs that are not there;
    the folder is free again afterwards."""
    here = ground(tmp_path, url, binaries)
    here.begin(asyncio.get_running_loop())
    await asyncio.sleep(0)
    with pytest.raises(error):
        await here.laid(print)
    await here.close()

    Folder(tmp_path / "var").close()
