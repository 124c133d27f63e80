"""`portico certs`: certificates that TLS peers take, and what a site uses."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest

from portico.cli import certs, exits

SITE = """
channel: lis
source: {{type: mllp, listen: "127.0.0.1:2575", tls: trial}}
---
agent: none
goal: Nothing
on: {{channel: lis}}
steps: [{{filter: {{keep: {{MSH-1: {{exists: yes}}}}}}}}]
"""


def openssl(*arguments):
    """What openssl says."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
async def test_new_certificates_verify_and_their_keys_are_private(portico, tmp_path):
    """OpenSSL takes the chain for its purpose and its names; nobody else can read a key."""
    folder = tmp_path / "certs"
    done = await portico(
        "certs", "new", "server", "--folder", folder, "--host", "pacs.internal"
    )
    await portico("certs", "new", "lab", "--folder", folder, "--purpose", "client")
    verify = ["verify", "-CAfile", folder / "ca.pem", "-x509_strict"]

    assert done.code == exits.OK, done.err
    told = openssl(
        *verify, "-purpose", "sslserver", "-verify_hostname", "pacs.internal",
        folder / "server.pem",
    )  # fmt: skip
    assert told.endswith("server.pem: OK\n")
    assert "OK" in openssl(*verify, "-purpose", "sslclient", folder / "lab.pem")
    assert "OK" not in openssl(*verify, "-purpose", "sslserver", folder / "lab.pem")
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*.key")} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "words",
    [[""], ["a" * 65], ["lab", "lab"], ["lab", "--host", "büro"], ["lab", "--host", ""]],
)
async def test_what_no_certificate_can_hold_is_said_before_anything_is_made(
    portico, tmp_path, words
):
    """In words, and the folder is not begun."""
    done = await portico("certs", "new", *words, "--folder", tmp_path / "certs")

    assert done.code == exits.USAGE, done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "certs").exists()


def test_a_machine_of_a_long_name_has_a_ca_too(tmp_path, monkeypatch):
    """Hosts of a cloud are called by 64 characters, and a certificate's subject has no more."""
    monkeypatch.setattr(certs.os, "uname", lambda: SimpleNamespace(nodename="h" * 64))
    certs.make(tmp_path / "certs", ["server"], certs.HOSTS, certs.DAYS, "server")

    assert (tmp_path / "certs/server.pem").exists()


async def test_nothing_is_overwritten(portico, tmp_path):
    """A second call makes the same CA's next certificate, or nothing."""
    folder = tmp_path / "certs"
    await portico("certs", "new", "server", "--folder", folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = await portico("certs", "new", "lab", "server", "--folder", folder)

    assert (again.code, "exists" in again.err) == (exits.FAILED, True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["../up", ".", "ca", "a/b"])
async def test_names_stay_in_the_folder(portico, tmp_path, name):
    """A name is a file's name, and not the CA's."""
    done = await portico("certs", "new", name, "--folder", tmp_path / "certs")

    assert done.code == exits.USAGE
    assert list(tmp_path.iterdir()) == []


async def test_show_lists_what_a_site_uses(portico, tmp_path):
    """Ours and what is trusted, with the pins that `new` printed; the site passes `check`."""
    (tmp_path / "channels").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "channels/all.yaml").write_text(SITE.format())
    made = await portico("certs", "new", "server", cwd=tmp_path)
    setting = made.err.partition("yaml: ")[2]
    (tmp_path / "config/portico.yaml").write_text(setting)

    checked = await portico("check", "--site", tmp_path)
    shown = await portico("certs", "show", "--json", "--site", tmp_path)
    for_people = await portico("certs", "show", "--site", tmp_path)

    assert checked.code == exits.OK, checked.out
    assert [(row["tls"], row["is"], row["subject"]) for row in shown.json] == [
        ("trial", "ours", "CN=server"),
        ("trial", "trusted", shown.json[0]["issuer"]),
    ]
    assert shown.json[0]["pin"] in made.out
    assert shown.json[0]["pin"] in for_people.out
