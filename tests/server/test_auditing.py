"""The audit trail of a running appliance, at a repository that is not ours."""

import asyncio
import getpass
import json
import re
import signal
import socket
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

import asyncssh
import pytest

sys.path.append(str(Path(__file__).parents[1]))

from audit.repository import Repository

SITE = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{adt}"}}
---
channel: secure
source: {{type: mllp, listen: "127.0.0.1:{secure}", tls: peers}}
---
channel: web
source: {{type: https, listen: "127.0.0.1:{web}", path: /hl7,
  auth: {{basic: {{user: lab, password: "${{env:TOKEN}}"}}}}}}
---
channel: iis
source: {{type: soap, listen: "127.0.0.1:{web}", path: /iis, profile: cdc-iis,
  auth: {{token: {{user: clinic, password: "${{env:TOKEN}}"}}}}}}
---
channel: uploads
source: {{type: sftp-server, listen: "127.0.0.1:{sftp}", path: uploads,
  host_key: "${{file:config/host_key}}", users: {{lab: {{password: "${{env:TOKEN}}"}}}}}}
---
agent: park
goal: Everything waits for a person
on: {{channel: [adt, secure, web, iis, uploads]}}
steps: [{{filter: {{drop: {{PV1-2: ZZ}}}}}}, {{python: transforms.faulty:fail}}, {{send: out}}]
---
{{destination: out, type: folder, path: out}}
"""
SMALL = """
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
---
agent: out
goal: All of it
on: {{channel: adt}}
steps: [{{send: out}}]
---
{{destination: out, type: folder, path: out}}
"""
CONFIG = """
api: {{listen: "127.0.0.1:{api}"}}
tls:
  peers: {peers}
  trail: {trail}
audit: {{to: "tls://127.0.0.1:{port}", tls: trail, source: engine1, enterprise: "St. Mary"}}
"""
SOAP = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header>
<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">
<w:UsernameToken><w:Username>clinic</w:Username><w:Password>{password}</w:Password></w:UsernameToken>
</w:Security></s:Header><s:Body><i:submitSingleMessage xmlns:i="urn:cdc:iisb:2011">
<i:hl7Message>{message}</i:hl7Message></i:submitSingleMessage></s:Body></s:Envelope>"""
FAULTY = """
from portico.authoring import Permanent


def fail(message):
    raise Permanent("as it should")
"""
PATIENT = "4711007"
ACTIVITY, LOGIN, NODE = "110100", "110114", "110113"


@pytest.fixture
def world(server, appliance, url, papers, tmp_path):
    """An appliance with an audit repository; not started."""
    names = ("adt", "secure", "web", "sftp", "api")
    ports = {name: server.free_port() for name in names}
    repository = Repository(tmp_path, papers)
    one = appliance(SITE.format(**ports), journal=url, TOKEN="sesame")
    settings = {"trust": str(papers.trust)}
    peers = {**settings, **papers.issue("engine"), "clients": "required"}
    trail = {**settings, **papers.issue("trail")}
    one.config = CONFIG.format(**ports, port=repository.port, peers=peers, trail=trail)
    (one.site / "config/portico.yaml").write_text(one.config.replace("'", '"'))
    (one.site / "transforms/faulty.py").write_text(FAULTY)
    key = asyncssh.generate_private_key("ssh-ed25519")
    (one.site / "config/host_key").write_bytes(key.export_private_key())
    (one.site / "config/host_key").chmod(0o600)
    one.ports, one.repository = ports, repository
    yield one
    repository.close()


def posted(port, path, body, **fields):
    """The status of a POST."""
    wanted = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body.encode(), fields)
    try:
        with urllib.request.urlopen(wanted, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def asked(port, path, token):
    """The status of a GET of the API."""
    fields = {"Authorization": f"Bearer {token}"}
    wanted = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=fields)
    try:
        with urllib.request.urlopen(wanted, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


async def sftp(port, password):
    """Whether a user gets in."""
    try:
        async with asyncssh.connect(
            "127.0.0.1", port, username="lab", password=password, known_hosts=None,
            client_keys=None, config=None,
        ):  # fmt: skip
            return True
    except asyncssh.PermissionDenied:
        return False


def told(one):
    """What the repository has: EventID, kind and outcome of each."""
    return [(*heard.codes, heard.outcome) for heard in one.repository.heard()]


def test_t6_starts_stops_and_failed_node_authentication_are_told(server, world, papers):
    """T6: Application Activity at both ends; who shows no certificate is a Security Alert."""
    one = world.start()
    stranger = ssl.create_default_context(cafile=papers.trust)
    with (
        pytest.raises(OSError),
        stranger.wrap_socket(
            socket.create_connection(("127.0.0.1", one.ports["secure"])),
            server_hostname="localhost",
        ) as line,
    ):
        line.settimeout(10)
        line.recv(1)
        raise ConnectionResetError
    server.until(lambda: one.said("handshake_failed"))
    assert one.end() == 0

    found = server.until(lambda: len(all_ := told(one)) == 3 and all_)
    assert found[0] == (ACTIVITY, "110120", "0")
    assert found[1] == (NODE, "110126", "4")
    assert found[2] == (ACTIVITY, "110121", "0")
    source = one.repository.heard()[0].xml.find("AuditSourceIdentification")
    assert (source.get("AuditSourceID"), source.get("AuditEnterpriseSiteID")) == (
        "engine1",
        "St. Mary",
    )


async def test_t6_logins_are_told_good_and_bad(server, world):
    """T6: HTTP, UsernameToken, SFTP and the API's token; each by user where the site knows it;
    one login for a connection, however many requests it has."""
    one = await asyncio.to_thread(world.start)
    text = server.message().decode()
    web, api = one.ports["web"], one.ports["api"]
    basic = {"good": "Basic bGFiOnNlc2FtZQ==", "bad": "Basic bGFiOndyb25n"}
    kind = {"Content-Type": "application/hl7-v2"}
    soap = {"Content-Type": "application/soap+xml"}

    def requests():
        for way in ("good", "bad"):
            posted(web, "/hl7", text, Authorization=basic[way], **kind)
        for password in ("sesame", "wrong"):
            message = text.replace("&", "&amp;").replace("\r", "&#xD;")
            posted(web, "/iis", SOAP.format(password=password, message=message), **soap)
        token = (one.site / "var/api.token").read_text().strip()
        assert asked(api, "/v1/status", token) == 200
        assert asked(api, "/v1/status", token) == 200
        assert asked(api, "/v1/status", "wrong") == 401

    await asyncio.to_thread(requests)
    assert await sftp(one.ports["sftp"], "sesame")
    assert not await sftp(one.ports["sftp"], "wrong")

    def logins():
        heard = [each for each in one.repository.heard() if each.codes[0] == LOGIN]
        return [(each.objects[0], each.users[0], each.outcome) for each in heard]

    found = await asyncio.to_thread(
        server.until, lambda: len(all_ := logins()) >= 8 and sorted(set(all_))
    )
    assert found == [
        ("api", "unknown", "0"), ("api", "unknown", "4"),
        ("iis", "clinic", "0"), ("iis", "unknown", "4"),
        ("uploads", "lab", "0"), ("uploads", "lab", "4"),
        ("web", "lab", "0"), ("web", "lab", "4"),
    ]  # fmt: skip
    assert logins().count(("api", "unknown", "0")) == 1


def test_t6_who_reads_and_who_lets_go_is_told(server, world):
    """T6: a search by patient, bodies, edits, releases, resends, replays; by whom, and about
    which Signals; never a value of the patient."""
    one = world.start()
    client = server.Client(one.ports["adt"])
    for number in ("1", "2", "3"):
        assert client.ask(server.message(number, PATIENT)) == "AA"
    server.until(lambda: one.status()["channels"]["adt"]["parked"] == 3)
    before = len(told(one))
    one.asked("signals")  # masked: nothing is told
    one.asked("signals", "--patient", PATIENT)
    listed = one.asked("signals", "--json", "--phi").stdout
    third, second, first = re.findall(r'"id": "([0-9a-f-]{36})"', listed)
    one.asked("show", first)
    one.asked("show", first, "--phi")
    one.asked("parked", "--phi")
    assert one.asked("edit", f"{first}/s1", "--set", "PV1-2=ZZ").returncode == 0
    assert one.asked("release", second, "--yes").returncode == 0
    assert one.asked("discard", third, "--yes", "--reason", "a trial").returncode == 0
    assert one.asked("resend", first, "--to", "out", "--received").returncode == 0
    assert one.asked("replay", first, "--yes").returncode == 0

    def since():
        return one.repository.heard()[before:]

    heard = server.until(lambda: len(all_ := since()) == 9 and all_)
    assert [each.codes for each in heard] == [
        ("110112", "search"), ("110112", "search"), ("110110", "show"), ("110112", "parked"),
        ("110110", "edit"), ("110106", "release"), ("110110", "discard"),
        ("110106", "resend"), ("110106", "replay"),
    ]  # fmt: skip
    assert heard[2].objects == [first] and heard[5].objects == [second]
    user = getpass.getuser()
    assert all(user in each.users[0] for each in heard)
    assert PATIENT.encode() not in one.repository.file.read_bytes()


def test_a_kill_while_the_repository_is_away_loses_no_audit_message(server, world, papers):
    """They lie in the data folder; the next engine sends them before its own."""
    one = world.start()

    def waiting():
        return len(list((one.site / "var/audit").glob("*.msg")))

    server.until(lambda: len(told(one)) == 1 and not waiting())
    one.repository.close()
    one.asked("signals", "--patient", PATIENT)
    server.until(waiting)
    one.end(signal.SIGKILL)
    one.asked("signals", "--patient", PATIENT)  # reads the journal by its URL: no engine runs
    assert waiting() == 2

    one.repository.open()
    one.start()
    found = server.until(lambda: len(all_ := told(one)) == 4 and all_)
    assert [kind for _, kind, _ in found] == ["110120", "search", "search", "110120"]


def test_a_reload_turns_the_trail_on_and_off_and_a_backup_is_told(
    server, appliance, papers, tmp_path
):
    """Without a restart; what the command line does beside the engine is told as well."""
    there = Repository(tmp_path, papers)
    one = appliance(SMALL.format(port=server.free_port())).start()
    trail = {"trust": str(papers.trust), **papers.issue("trail")}
    config = f"audit: {{to: 'tls://127.0.0.1:{there.port}', tls: {json.dumps(trail)}}}\n"
    (one.site / "config/portico.yaml").write_text(config)
    one.cli("reload")
    one.cli("backup", str(tmp_path / "copy"))

    (heard,) = server.until(there.heard)
    assert heard.codes == ("110106", "backup")
    assert heard.users == [getpass.getuser(), str(tmp_path / "copy")]

    (one.site / "config/portico.yaml").write_text("")
    one.cli("reload")
    one.asked("signals", "--phi")
    assert one.end() == 0
    assert len(there.heard()) == 1 and not list((one.site / "var/audit").iterdir())
    there.close()


def test_lost_audit_messages_are_an_alarm_until_there_is_room(
    server, appliance, url, papers, tmp_path
):
    """With the repository away and the spool full; messages of patients flow all the same."""
    there = Repository(tmp_path, papers)
    there.close()
    port = server.free_port()
    one = appliance(SMALL.format(port=port), journal=url)
    trail = {"trust": str(papers.trust), **papers.issue("trail")}
    where = f"to: 'tls://127.0.0.1:{there.port}', tls: {json.dumps(trail)}"
    (one.site / "config/portico.yaml").write_text(f"audit: {{{where}, spool: 2KiB}}\n")
    one.start()
    client = server.Client(port)
    for _ in range(2):
        one.asked("signals", "--phi")
    assert client.ask(server.message()) == "AA"
    alarm = 'portico_alarm_open{kind="audit",name="",scope="engine"}'
    server.until(lambda: one.said("audit_lost") and one.metrics().get(alarm) == 1)
    assert 0 < one.metrics()["portico_audit_spool_bytes"] <= 2048

    there.open()
    server.until(lambda: not one.metrics().get(alarm), 40)
    assert [each.codes[1] for each in there.heard()] == ["110120", "search"]
    assert one.metrics()["portico_audit_spool_bytes"] == 0
    assert one.end() == 0
    there.close()
