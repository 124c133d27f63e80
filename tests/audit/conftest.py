"""Audit trails of a test's own, and repositories for them."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from audit.repository import SCHEMA, Datagrams, Repository, until
from portico.audit.trail import Trail
from portico.clock import SystemClock
from portico.spec.auditing import Audit
from portico.tls.certificates import Certificates


class House:
    """Makes trails into one data folder. said: what they told of themselves."""

    def __init__(self, folder, papers):
        self.data, self.papers, self.said = folder / "data", papers, []
        self._certificates = Certificates()
        self._made = []

    def trail(self, to, tls=None, **options):
        """A trail that has begun."""
        wanted = Audit.model_validate({"to": to, "source": "house", **options})
        secured = self._certificates.client(tls) if tls else None
        trail = Trail(wanted, self.data, SystemClock(), self.said.append, secured)
        trail.start()
        self._made.append(trail)
        return trail

    def waiting(self):
        """The files of the spool."""
        return sorted((self.data / "audit").glob("*.msg"))

    def told(self, kind):
        """The code of each such event."""
        return [one.code for one in self.said if type(one).__name__ == kind]

    def close(self):
        """End all."""
        for trail in self._made:
            trail.close(0.2)


@pytest.fixture
def house(tmp_path, papers):
    """Where trails are made."""
    made = House(tmp_path, papers)
    yield made
    made.close()


@pytest.fixture
def repository(tmp_path, papers):
    """Starts repositories that want a certificate of ours; they end with the test."""
    made = []

    def start(**options):
        made.append(Repository(tmp_path, papers, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def datagrams():
    """A repository by UDP."""
    made = Datagrams()
    yield made
    made.close()


@pytest.fixture(name="until")
def _until():
    """Looks again until it holds."""
    return until


@pytest.fixture
def schema():
    """The schema of PS3.15 A.5.1."""
    return SCHEMA
