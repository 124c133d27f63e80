"""Canaries: a patient whose every field can be recognised, through every way in and out and
through failures of all kinds. Journal, wire and folders may hold them, and nothing else may."""

import base64
import contextlib
import gzip
import json
import re
import socket
import ssl
import threading
import urllib.error
import urllib.request
from pathlib import Path

import paramiko
import pytest

from destinations.web import Server
from remote.peers import FtpPeer, PosixPeer, key

# What no log, page, list or letter may hold; compared without case. The numbers stand for
# what a transform, a date or a path could show without the words around them.
PATIENT = (
    "canary", "7700421", "5550142017", "987650123", "19480229",
    base64.b64encode(b"CANARYNOTE").decode().rstrip("=").lower(),
)  # fmt: skip
SECRETS = ("sesame", base64.b64encode(b"portal:sesame").decode()[:-4].lower())
ADT = (
    "MSH|^~\\&|EHR|CLINIC|LAB|ST|2026||ADT^A01|{number}|P|2.5{charset}\r"
    "EVN|A01|2026\r"
    "PID|||7700421CANARY^^^H^MR||CANARYFAMILY^{given}||19480229|F|||"
    "CANARYSTREET 1^^CANARYTOWN||5550142017||||||987650123\r"
    "NTE|1||CANARYNOTE{note}\r"
)
TRANSFORM = """
import os
import sys

def spill(message):
    raise ValueError(f"cannot work with {message['PID-5.1']} of {message}")

def count(message):
    return int(str(message["PID-3.1"]))

def crash(message):
    print(message["PID-5.1"], file=sys.stderr, flush=True)
    print(message["PID-5.1"], flush=True)
    os._exit(3)
"""
WAYS = ("spill", "count", "crash", "date", "table")
SITE = """\
{channels}
channel: web
source: {{type: https, listen: "127.0.0.1:{web}", path: /json, limit: 64KiB,
  auth: {{bearer: "${{env:TOKEN}}"}}}}
content: json
order_by: /mrn
acknowledge: {{when: processed}}
---
channel: webbasic
source: {{type: https, listen: "127.0.0.1:{web}", path: /xml, limit: 64KiB,
  auth: {{basic: {{user: portal, password: "${{env:TOKEN}}"}}}}}}
content: xml
---
channel: webopen
source: {{type: https, listen: "127.0.0.1:{web}", path: /open, limit: 64KiB}}
---
channel: websigned
source: {{type: https, listen: "127.0.0.1:{web}", path: /signed,
  auth: {{hmac: "${{env:TOKEN}}"}}}}
---
channel: iis
source: {{type: soap, listen: "127.0.0.1:{web}", path: /iis, profile: cdc-iis,
  auth: {{basic: {{user: portal, password: "${{env:TOKEN}}"}}}}}}
---
channel: raw
source: {{type: tcp, listen: "127.0.0.1:{raw}", frame: {{end: "\\n"}}, limit: 4KiB}}
---
channel: rawstrict
source: {{type: mllp, listen: "127.0.0.1:{strict}", framing: strict, limit: 4KiB}}
---
channel: secure
source: {{type: mllp, listen: "127.0.0.1:{secure}", tls: own}}
---
channel: uploads
source: {{type: sftp-server, listen: "127.0.0.1:{sftp}", path: uploads,
  host_key: "${{file:config/host_key}}",
  users: {{lab: {{password: "${{env:TOKEN}}"}}}}}}
---
channel: files
source: {{type: folder, path: drop, every: 200ms, ready: rename, limit: 64KiB}}
---
channel: rows
source: {{type: folder, path: rows, every: 200ms, ready: rename}}
content: csv
---
channel: reflab
source: {{type: sftp, address: "127.0.0.1:{posix}", user: lab, password: "${{env:TOKEN}}",
  host_key: "{pin}", path: /, every: 300ms}}
---
channel: oldlab
source: {{type: ftp, address: "127.0.0.1:{ftp}", user: lab, password: "${{env:TOKEN}}",
  path: /, every: 300ms, tls: no}}
---
agent: everything
goal: Send it to all
on: {{channel: [adt, webopen, iis, raw, rawstrict, secure, uploads, files, reflab, oldlab]}}
steps:
  - send: {{to: [his, gone, wrong, web_out, moved, registry, tcp_out, nowhere],
      file: "{{PID-5.1}}.hl7"}}
  - send: {{to: [folder_out, sftp_out, sftp_wrong, ftp_out],
      file: "{{PID-5.1}}-{{PID-3.1}}.hl7"}}
---
agent: portal
goal: Take what fits
on: {{channel: web}}
steps:
  - validate: {{schema: transforms/patient.schema.json}}
  - validate: {{require: [/mrn], values: {{/name: [SOMEBODY]}}}}
    on_error: {{refuse: "The patient {{/name}} is not known"}}
---
agent: late
goal: Refuse when nobody listens any more
on: {{channel: adt}}
steps:
  - validate: {{values: {{PID-8: NOBODY}}}}
    on_error: {{refuse: "{{PID-5.1}} born {{PID-7}} is not a patient here"}}
---
agent: papers
goal: Take what fits
on: {{channel: webbasic}}
steps:
  - validate: {{schema: transforms/patient.xsd}}
---
agent: listed
goal: Take what fits
on: {{channel: rows}}
steps:
  - validate: {{values: {{/name: [SOMEBODY]}}}}
    on_error: park
---
{agents}
{{destination: his, type: mllp, address: "127.0.0.1:{his}", {retry}}}
---
{{destination: gone, type: mllp, address: "127.0.0.1:{gone}", {retry}}}
---
{{destination: wrong, type: mllp, address: "127.0.0.1:{wrong}", {retry}}}
---
{{destination: web_out, type: https, address: "{http}/p/{{PID-3.1}}?name={{PID-5.1}}",
  headers: {{X-Patient: "{{PID-5.1}}"}},
  auth: {{bearer: "${{env:TOKEN}}"}}, {retry}}}
---
{{destination: moved, type: https, address: "http://127.0.0.1:{gone}/p/{{PID-3.1}}", {retry},
  auth: {{oauth2: {{address: "{http}/token", client: portal, secret: "${{env:TOKEN}}"}}}}}}
---
{{destination: registry, type: soap, profile: cdc-iis, address: "{http}/iis/{{PID-3.1}}",
  with: {{facilityID: "{{PID-5.1}}"}},
  auth: {{basic: {{user: portal, password: "${{env:TOKEN}}"}}}}, {retry}}}
---
{{destination: tcp_out, type: tcp, address: "127.0.0.1:{wrong}", frame: {{end: "\\n"}},
  {retry}}}
---
{{destination: nowhere, type: folder, path: "/dev/null/none", file: "{{PID-5.1}}.hl7", {retry}}}
---
{{destination: folder_out, type: folder, path: out, exists: fail}}
---
{{destination: sftp_out, type: sftp, address: "127.0.0.1:{posix}", user: lab,
  password: "${{env:TOKEN}}", host_key: "{pin}", path: /missing, {retry}}}
---
{{destination: sftp_wrong, type: sftp, address: "127.0.0.1:{posix}", user: lab,
  password: "${{env:OTHER}}", host_key: "{pin}", path: /, {retry}}}
---
{{destination: ftp_out, type: ftp, address: "127.0.0.1:{ftp}", user: lab,
  password: "${{env:OTHER}}", path: /, tls: no, {retry}}}
"""
CHANNEL = """\
channel: {name}
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
order_by: PID-3.1
{more}
---
"""
AGENT = """\
agent: do_{name}
goal: Fail
on: {{channel: {name}}}
steps: [{step}]
---
"""
STEPS = {
    "spill": "{python: transforms.faults:spill}",
    "count": "{python: transforms.faults:count}",
    "crash": "{python: transforms.faults:crash}",
    "date": "{map: {set: {PID-7: '{PID-5.1:%Y}'}}}",
    "table": "{lookup: {table: wards, key: PID-5.1, into: PV1-3.1}}",
}
CONFIG = """\
tls: {{own: {own}}}
alarms:
  to:
    hook: {{webhook: "${{env:HOOK}}"}}
    desk: {{mail: {{server: "127.0.0.1:{smtp}", from: engine@hospital.org,
      to: desk@hospital.org, starttls: no}}}}
"""
XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="patient">
<xs:complexType><xs:sequence><xs:element name="born" type="xs:date"/></xs:sequence>
</xs:complexType></xs:element></xs:schema>"""


class Rude:
    """A peer that repeats what it was told: an AE that quotes, or nonsense."""

    def __init__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        for number in range(10_000):
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), peer:
                got = peer.recv(65536)
                found = re.search(rb"\|ADT\^A01\|(\w+)", got)
                told = b"MSH|^~\\&|L|S|C|C|2026||ACK|1|P|2.5\rMSA|AE|%s|CANARYFAMILY\r"
                told %= found[1] if found else b""
                peer.sendall(b"\x0b" + told + b"\x1c\r" if number % 2 else b"CANARY\n" + got)

    def close(self):
        """Listen no more."""
        self._listening.close()


def adt(number, given="CANARYGIVEN", charset="", note=""):
    """The patient."""
    text = ADT.format(number=number, given=given, charset=charset, note=note)
    return text.encode()


def leaks(text, where, also=()):
    """What of the patient, or of a secret, stands in it; with what stands around it."""
    low = text.lower() if isinstance(text, str) else text.decode("latin-1").lower()
    found = []
    for word in (*PATIENT, *SECRETS, *also):
        for match in re.finditer(re.escape(word), low):
            around = low[max(0, match.start() - 100) : match.end() + 60]
            found.append(f"{where}: {word}: ...{around}...")
            break
    return found


def post(url, content, **fields):
    """The status and the body of the answer; 0 when there is none."""
    request = urllib.request.Request(url, content, method="POST")
    for name, value in fields.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, urllib.error.URLError):
        return 0, b""


def processes(pid):
    """That process and all below it."""
    found, below = [], [pid]
    while below:
        one = below.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                below += map(int, (task / "children").read_text().split())
    return found


@pytest.fixture
def peers(tmp_path):
    """Everything on the other side."""
    folder = tmp_path / "remote"
    folder.mkdir()
    posix = PosixPeer(folder, "sesame")
    one = {"http": Server(), "rude": Rude(), "posix": posix, "hook": Server(), "folder": folder}
    one["ftp"] = FtpPeer(folder)
    one["ftp"].server.handler.authorizer.user_table["lab"]["pwd"] = "sesame"
    yield one
    for name in ("posix", "rude", "ftp"):
        one[name].close()
    for name in ("http", "hook"):
        one[name].shutdown()
        one[name].server_close()


@pytest.fixture
def ports(server):
    """A free port for everything that listens."""
    names = ("web", "raw", "strict", "secure", "sftp", "his", "gone", "adt", *WAYS)
    return {name: server.free_port() for name in names}


@pytest.fixture
def site(appliance, peers, mailbox, papers, ports, tmp_path):
    """The appliance, not started."""
    channels = "".join(
        CHANNEL.format(name=name, port=ports[name], more="acknowledge: {when: processed}")
        if name != "adt"
        else CHANNEL.format(name=name, port=ports[name], more="")
        for name in ("adt", *WAYS)
    )
    agents = "".join(AGENT.format(name=name, step=STEPS[name]) for name in WAYS)
    documents = SITE.format(
        **ports, channels=channels, agents=agents, http=peers["http"].url,
        wrong=peers["rude"].port, posix=peers["posix"].port, ftp=peers["ftp"].port,
        pin=peers["posix"].fingerprint, retry="retry: {first: 50ms, most: 10s}",
    )  # fmt: skip
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    one = appliance(
        documents, TOKEN="sesame", OTHER="sesame2", TMPDIR=str(temporary),
        HOOK=f"{peers['hook'].url}/sesame",
    )  # fmt: skip
    one.temporary = temporary
    (one.site / "config/portico.yaml").write_text(
        CONFIG.format(smtp=mailbox.port, own=json.dumps(papers.issue()))
    )
    key(one.site / "config", "host_key")
    one.context = ssl.create_default_context(cafile=str(papers.trust))
    (one.site / "transforms/faults.py").write_text(TRANSFORM)
    (one.site / "transforms/tables").mkdir()
    (one.site / "transforms/tables/wards.csv").write_text("name,ward\nSOMEBODY,W1\n")
    (one.site / "transforms/patient.xsd").write_text(XSD)
    (one.site / "transforms/patient.schema.json").write_text(
        json.dumps(
            {"type": "object", "properties": {"born": {"type": "string", "format": "date"}}}
        )
    )
    for name in ("drop", "rows"):
        (one.site / name).mkdir()
    return one


def send_streams(server, ports):
    """MLLP, TCP and TLS: good messages, and everything that is wrong with one."""
    client = server.Client(ports["adt"])
    for number, message in enumerate(
        (
            adt("A1"),
            adt("A1", given="CANARYCHANGED"),  # the same id, another content
            adt("A2", given="CANARY\xe9"),  # no ASCII
            adt("A3", charset="||||||ODDSET", given="CANARY\xe9"),
            adt("A4", given="CANARY\0X"),
            adt("LONG" * 60),  # an id that nobody can answer
            adt("A5").replace(b"|ADT^A01|", b"|ODD^TYPE|"),
            b"MSH|CANARY",
            b"PID|||CANARY",
            adt("A6", note="\\H\\" * 3000),
        )
    ):
        assert client.ask(message) in ("AA", "AE", "AR", "close"), number
        client.close()
        client = server.Client(ports["adt"])
    for name in WAYS:
        client = server.Client(ports[name])
        assert client.ask(adt(f"W{name}")) in ("AA", "AE", "AR")
    for data in (b"CANARY noise", b"\x0bMSH|CANARY\x1cCANARY\r", b"\x0b" + b"CANARY" * 2000):
        client = server.Client(ports["strict"])
        client.send(data, raw=True)
        client._socket.shutdown(socket.SHUT_WR)
        client.answer()
    for data in (adt("T1").replace(b"\r", b"\x0c") + b"\n", b"CANARY" * 2000):
        with socket.create_connection(("127.0.0.1", ports["raw"]), 10) as peer:
            peer.sendall(data)
    with socket.create_connection(("127.0.0.1", ports["secure"]), 10) as peer:
        peer.sendall(server.encode(adt("S1")))  # in the clear, to TLS
        with contextlib.suppress(OSError):
            peer.recv(10)


def send_secured(server, site, ports):
    """One over TLS, and one whose name in SNI is the patient's."""
    for name in ("localhost", "canaryfamily.example"):
        with contextlib.suppress(OSError):
            plain = socket.create_connection(("127.0.0.1", ports["secure"]), 10)
            with site.context.wrap_socket(plain, server_hostname=name) as peer:
                peer.sendall(server.encode(adt("S2")))
                peer.recv(1000)


def send_web(ports):
    """HTTP: wrong secrets, wrong types, broken content, the patient in the URL."""
    web = f"http://127.0.0.1:{ports['web']}"
    good = {"Authorization": "Bearer sesame", "Content-Type": "application/json"}
    patient = {"mrn": "7700421CANARY", "name": "CANARYFAMILY", "born": "CANARY", "CANARY": 1}
    whole = json.dumps(patient).encode()
    told = [
        post(f"{web}/json?mrn=CANARY7700421", whole, **good, X_Patient="CANARYFAMILY")[0],
        post(f"{web}/json", whole.replace(b'"born": "CANARY", ', b""), **good)[0],
        post(f"{web}/json", whole[:-3], **good)[0],
        post(f"{web}/json", b'{"mrn": "CANARY", "mrn": "CANARY\xff"}', **good)[0],
        post(f"{web}/json", b'["CANARY",' * 500, **good)[0],
        post(f"{web}/json", b'{"CANARY": "' + b"CANARY" * 20_000 + b'"}', **good)[0],
        post(
            f"{web}/json", gzip.compress(b"CANARY" * 1_000_000), **good, Content_Encoding="gzip"
        )[0],
        post(f"{web}/json", whole, **{**good, "Content_Type": "text/CANARY"})[0],
        post(f"{web}/json", whole, **{**good, "Authorization": "Bearer sesame-wrong"})[0],
        post(f"{web}/CANARYFAMILY/7700421", whole, **good)[0],
    ]
    assert told == [422, 422, 422, 422, 422, 413, 413, 415, 401, 404], told
    basic = "Basic " + base64.b64encode(b"portal:sesame").decode()
    wrong = "Basic " + base64.b64encode(b"CANARYUSER:sesame-wrong").decode()
    born = b"<patient><born>%s</born></patient>"
    for authorization, content in (
        (basic, born % b"1948-02-29"),
        (basic, born % b"CANARY"),
        (basic, b"<order>CANARY</order>"),
        (basic, b"<a>CANARY<b></a>"),
        (basic, b'<!DOCTYPE a [<!ENTITY b "CANARY">]><a>&b;</a>'),
        (basic, b'<?xml version="1.0" encoding="CANARY"?><a/>'),
        (wrong, born % b"1948-02-29"),
    ):
        post(f"{web}/xml", content, Authorization=authorization, Content_Type="text/xml")
    post(f"{web}/open?name=CANARYFAMILY", adt("H1"), X_Patient="CANARYFAMILY 7700421")
    post(f"{web}/open", b"CANARY no HL7")
    post(f"{web}/signed", adt("H2"), X_Timestamp="CANARY", X_Signature="sesame")
    soap = (
        '<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Body><submitSingleMessage '
        'xmlns="urn:cdc:iisb:2011"><username>portal</username><password>{}</password>'
        "<facilityID>CANARYFACILITY</facilityID><hl7Message>{}</hl7Message>"
        "</submitSingleMessage></Body></Envelope>"
    )
    message = adt("I1").decode().replace("&", "&amp;").replace("\r", "&#13;")
    typed = {"Content_Type": "application/soap+xml"}
    told = [
        post(f"{web}/iis", soap.format("sesame", message).encode(), **typed)[0],
        post(f"{web}/iis", soap.format("sesame-wrong", message).encode(), **typed)[0],
        post(f"{web}/iis", soap.format("sesame", "CANARY").encode(), **typed)[0],
        post(f"{web}/iis", b"<CANARY>sesame", **typed)[0],
    ]
    assert told[0] == 200, told


def send_files(site, ports, folder):
    """SFTP in and from elsewhere, FTP, folders: names are the patient's, counts are wrong."""
    batch = b"BHS|^~\\&|CANARY\r" + adt("F1") + adt("F2") + b"BTS|7\r"
    unclear = adt("F3") + b"CANARY\r\0" + b"\xff" * 100
    for name, content in (
        ("CANARYFAMILY 7700421.hl7", batch),
        ("CANARY\nFAMILY.hl7", unclear),
        ("CANARYLARGE.hl7", b"CANARY" * 20_000),
        ("CANARYEMPTY.hl7", b""),
        ("CANARYGOOD.hl7", adt("F4")),
    ):
        (site.site / "drop" / f".{name}").write_bytes(content)
        (site.site / "drop" / f".{name}").rename(site.site / "drop" / name)
        (folder / name.replace("\n", "_")).write_bytes(content)
    (site.site / "drop/CANARYLOCKED.hl7").mkdir()
    for name, content in (
        ("CANARYROWS.csv", b"mrn,name\n7700421CANARY,CANARYFAMILY\n7700421,CANARY,CANARY\n"),
        ("CANARYBAD.csv", b'mrn,name\n"7700421CANARY,CANARYFAMILY\n\xff\xfe'),
    ):
        (site.site / "rows" / f".{name}").write_bytes(content)
        (site.site / "rows" / f".{name}").rename(site.site / "rows" / name)
    for password, name in (
        ("sesame-wrong", ""),
        ("sesame", "CANARYFAMILY.hl7"),
        ("sesame", "CANARY.part"),
        ("sesame", "../../CANARY/7700421.hl7"),
    ):
        transport = paramiko.Transport(("127.0.0.1", ports["sftp"]))
        with contextlib.suppress(paramiko.SSHException, OSError):
            transport.connect(None, "lab", password)
            client = paramiko.SFTPClient.from_transport(transport)
            with client.open(name, "wb") as file:
                file.write(batch if name.startswith("CANARYF") else adt("U1"))
        transport.close()


PROBES = ("doctor", "check")  # commands that try things out on their own process


def shown(site):
    """What every command says that is not asked for patient data, by its name."""
    said = {}
    commands = [
        ("status",), ("status", "--json"), ("parked",), ("parked", "--json"),
        ("signals",), ("signals", "--json"), ("alarms", "list"), ("acts",), ("acts", "--json"),
        ("doctor",), ("doctor", "--json"), ("check", "--explain"), ("check", "--json"),
        ("retention",), ("schedules",), ("certs", "show"), ("jobs",),
    ]  # fmt: skip
    for words in commands:
        done = (site.run if words[0] in PROBES else site.asked)(*words)
        assert done.returncode in (0, 1), (words, done.stderr)
        said[" ".join(words)] = done.stdout + done.stderr
    found = json.loads(site.asked("signals", "--limit", "500", "--json").stdout)
    listed = found["signals"] if isinstance(found, dict) else found
    for number, one in enumerate(listed):
        for words in (("show", one["id"]), ("show", one["id"], "--json"))[: 1 + (number < 8)]:
            said[" ".join(words)] = (done := site.asked(*words)).stdout + done.stderr
    return said


def test_nothing_of_a_patient_and_no_secret_leaves_the_journal_the_wire_and_the_folders(
    server, site, peers, mailbox, ports
):
    """Log, metrics, /v1, command line, webhook, letters, temporary files, process titles and
    PostgreSQL's log, after some eighty messages of one patient and thirty kinds of failure."""
    letters = mailbox.letters
    peers["http"].script = [
        (500, {"X-Told": "CANARY"}, b"CANARY is wrong"),
        (400, {}, b"CANARY"),
    ]
    sink = server.Sink(ports["his"])
    site.start()
    send_streams(server, ports)
    send_secured(server, site, ports)
    send_web(ports)
    send_files(site, ports, peers["folder"])
    server.until(lambda: site.said("file_kept") >= 2 and peers["hook"].seen and letters, 40)
    server.until(lambda: site.said("delivery_parked") >= 20, 40)
    titles = ""
    for pid in processes(site.process.pid):
        for what in ("cmdline", "comm"):
            with contextlib.suppress(OSError):  # PostgreSQL's come and go
                titles += Path(f"/proc/{pid}/{what}").read_text(errors="replace")
    said = shown(site)
    page = urllib.request.urlopen(f"http://127.0.0.1:{site.metrics_port}/metrics", timeout=60)
    said["metrics"] = page.read().decode()
    said["processes"] = titles
    said["webhook"] = repr([(line, body) for line, _, body in peers["hook"].seen]).replace(
        "POST /sesame", ""
    )
    said["mail"] = repr([envelope.content for envelope, _ in letters])
    sink.close()
    assert site.end() == 0
    said["log"] = site.log.read_text()
    said["postgres"] = (site.site / "var/postgres.log").read_text()
    for path in site.temporary.rglob("*"):
        said[f"temporary {path}"] = str(path) + path.read_text("latin-1") * path.is_file()
    found = [leak for where, text in said.items() for leak in leaks(text, where)]
    assert not found, "\n".join(found)
