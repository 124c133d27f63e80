"""`init --with`: each worked example, alone and with all others, and what is made for it."""

import itertools
import os
import re

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from portico import catalog
from portico.check import schemas
from portico.check.site import examine
from portico.cli import exits, init, kit

EVERY = [*kit.KITS, kit.ALL]


@pytest.fixture
def made(tmp_path):
    """A site with that kit."""

    def make(name):
        assert init.init(tmp_path / "site", [name]) == exits.OK
        return tmp_path / "site"

    return make


def documents(path):
    """As an editor reads them."""
    return list(YAML(typ="safe", pure=True).load_all(path.read_text()))


@pytest.mark.parametrize("name", EVERY)
def test_check_has_nothing_to_say_of_a_kit(made, name):
    """Not even a hint: what is copied from here is right."""
    site, findings = examine(made(name), {})

    assert list(findings) == []
    assert site is not None and len(site.channels) > 1


@pytest.mark.parametrize("name", EVERY)
async def test_the_cases_of_a_kit_pass(made, portico, name):
    """Right after `init`, through real agents in real workers."""
    done = await portico("test", "--site", made(name))

    assert done.code == exits.OK, done.out + done.err
    assert done.out.endswith(" 0 failed\n") and not done.out.startswith("0 ")


@pytest.mark.parametrize("name", EVERY)
def test_an_editor_underlines_nothing_in_a_kit(made, name):
    """The published schemas know all that the kits show."""
    site = made(name)
    document = Draft202012Validator(schemas.schema("document"))
    config = Draft202012Validator(schemas.schema("config"))
    texts = [path for path in site.glob("channels/*.yaml") if ".test." not in path.name]

    wrong = [e.message for t in texts for d in documents(t) for e in document.iter_errors(d)]
    (settings,) = documents(site / "config/portico.yaml")

    assert wrong == []
    assert [error.message for error in config.iter_errors(settings)] == []


@pytest.mark.parametrize("name", kit.KITS)
def test_every_channel_and_way_of_a_kit_has_cases(made, name):
    """No channel stands here that nobody tried."""
    site = made(name)
    found = {"channel": set(), "case": set()}
    for path in site.glob("channels/*.yaml"):
        for each in documents(path):
            noun = next(iter(each))
            if noun in found:
                found[noun].add(each["channel"])

    assert found["channel"] == found["case"]


def test_the_kits_show_every_source_and_destination(made):
    """Whoever adds a type shows how it is used."""
    site, _ = examine(made(kit.ALL), {})

    sources = {channel.source.type for channel in site.channels.values()}
    destinations = {each.type for each in site.destinations.values()}

    assert sources == set(catalog.listeners_named())
    assert destinations == set(catalog.destinations_named())


def test_secrets_are_random_and_for_their_owner_alone(tmp_path, made):
    """No two sites share one, none is in git, and no site file holds one."""
    one, other = made(kit.ALL), tmp_path / "other"
    init.init(other, [kit.ALL])

    for path in [*one.glob("secrets/*"), *one.glob("certs/*.key")]:
        private = path.suffix != ".pub"
        assert (path.stat().st_mode & 0o777) == 0o600 or not private, path
        assert path.read_bytes() != (other / path.relative_to(one)).read_bytes()
        for file in [*one.glob("channels/*"), *one.glob("config/*"), one / "README.md"]:
            assert not private or path.read_text().strip() not in file.read_text()
    assert {"secrets/", "certs/*.key"} <= set((one / ".gitignore").read_text().split())


def test_a_site_holds_secrets_of_its_kits_only(made):
    """A folder scaffold has neither certificates nor passwords lying about."""
    site = made("folder")

    assert not (site / "secrets").exists() and not (site / "certs").exists()
    assert "tls:" not in (site / "config/portico.yaml").read_text()


def test_no_two_kits_listen_on_one_port():
    """Any of them can be put together; nothing listens beyond the loopback."""
    taken = {}
    for name in [None, *kit.KITS]:
        texts = init.files([name] if name else [])
        own = {p: t for p, t in texts.items() if not name or p not in init.files()}
        text = b"\n".join(t for p, t in own.items() if p.endswith(".yaml")).decode()
        taken[name] = set(re.findall(r'listen: "([^"]+)"', text))

    assert all(a.isdisjoint(b) for a, b in itertools.combinations(taken.values(), 2))
    assert {each.partition(":")[0] for all in taken.values() for each in all} == {"127.0.0.1"}


async def test_an_example_that_there_is_not_is_corrected(portico, tmp_path):
    """And nothing is written."""
    done = await portico("init", tmp_path / "site", "--with", "soap,sftpp")

    assert done.code == exits.USAGE
    assert "did you mean 'sftp'?" in done.err
    assert os.listdir(tmp_path) == []


async def test_examples_are_named_in_one_word_or_in_several(portico, tmp_path):
    """`--with a,b` is `--with a --with b`; each is named with what it shows."""
    done = await portico("init", tmp_path / "site", "--with", "tcp", "--with", "mllp, folder")

    names = {path.name for path in (tmp_path / "site/channels").glob("*[!t].yaml")}

    assert done.code == exits.OK, done.err
    assert {"tcp.yaml", "mllp.yaml", "folder.yaml"} <= names
    assert f"with tcp: {kit.KITS['tcp'].summary}" in done.out


def test_init_alone_stays_small():
    """One channel to begin with."""
    channels = sorted(path for path in init.files() if path.startswith("channels/"))

    assert channels == ["channels/admissions.test.yaml", "channels/admissions.yaml"]
    assert len(init.files()) <= 10
