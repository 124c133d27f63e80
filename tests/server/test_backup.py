"""`backup` and `restore` of a real appliance under load (promise P2 across a restore)."""

import json
import os
import shutil
import subprocess
import sys
import threading

import pytest

SITE = """\
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{port}"}}
order_by: PID-3.1
---
agent: forward
goal: Send on
on: {{channel: adt}}
steps: [{{send: [lab, dead]}}]
---
destination: lab
type: mllp
address: 127.0.0.1:{sink}
---
destination: dead
type: mllp
address: 127.0.0.1:{dead}
"""


def portico(appliance, *arguments, code=0, **environ):
    """A command; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "portico", *map(str, arguments), "--site", appliance.site],
        env={**appliance.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def ground(server, appliance):
    """A running appliance with one sink that answers and one that is not there."""
    sink, port, dead = server.Sink(), server.free_port(), server.free_port()
    documents = SITE.format(port=port, sink=sink.port, dead=dead)
    engine = appliance(documents).start()
    yield engine, server.Client(port), sink, dead
    sink.close()


def test_a_backup_under_load_is_a_journal_that_balances(server, ground):
    """Taken while messages come; restored into a new folder it holds every message that was
    acknowledged before it began, the books add up, and what is queued is sent when told to."""
    engine, client, _, dead = ground
    for number in range(50):
        assert client.ask(server.message(f"before{number}", str(number))) == "AA"
    stop, more = threading.Event(), []
    thread = threading.Thread(
        target=lambda: [
            more.append(client.ask(server.message(f"during{n}", "1")))
            for n in range(100_000)
            if not stop.is_set()
        ]
    )
    thread.start()
    target, data = engine.site.parent / "kept", engine.site.parent / "new data"

    portico(engine, "backup", target)
    stop.set()
    thread.join()
    assert set(more) == {"AA"}
    engine.end()
    said = portico(engine, "restore", target, "--data", data)
    assert "2 destinations paused" in said

    engine.environ["PORTICO_DATA"] = str(data)
    sink = server.Sink(dead)
    engine.start()
    told = server.until(lambda: (now := engine.status())["balanced"] and now)
    book = told["channels"]["adt"]
    assert book["received"] >= 50
    assert not sink.got
    portico(engine, "resume", "dead")
    wanted = {f"before{number}" for number in range(50)}
    server.until(lambda: wanted <= set(sink.got))
    sink.close()


def test_a_backup_that_was_touched_is_not_restored(server, ground):
    """A byte of the site or of PostgreSQL is said by its name; without its manifest, which is
    written last, a folder is no backup."""
    engine, client, *_ = ground
    client.ask(server.message())
    whole = engine.site.parent / "whole"
    portico(engine, "backup", whole)
    assert oct(whole.stat().st_mode)[-3:] == "700"
    files = (path for path in sorted((whole / "postgres/base").rglob("*")) if path.is_file())
    victim = next(path for path in files if path.stat().st_size > 8192)
    data = engine.site.parent / "never"
    for name in ("site/channels/all.yaml", str(victim.relative_to(whole))):
        broken = shutil.copytree(whole, engine.site.parent / "broken", dirs_exist_ok=True)
        content = bytearray((broken / name).read_bytes())
        content[len(content) // 2] ^= 0x55
        (broken / name).write_bytes(content)

        said = portico(engine, "restore", broken, "--data", data, code=1)

        assert os.path.basename(name) in said
    (whole / "manifest.json").unlink()

    assert "is no backup" in portico(engine, "restore", whole, "--data", data, code=1)
    assert not data.exists()


def test_a_stopped_engines_journal_is_backed_up_too(server, ground):
    """And `--files` gives the site back; `--send` lets destinations send at once. Somebody's
    editor, which marks what it has open by a link to nowhere, is not in the way."""
    engine, client, *_ = ground
    client.ask(server.message())
    engine.end()
    (engine.site / "transforms").mkdir(exist_ok=True)
    (engine.site / "transforms/.#phones.py").symlink_to("anna@desk.4711:1795162502")
    top = engine.site.parent
    portico(engine, "backup", top / "kept")

    data = os.path.relpath(top / "new")
    said = portico(engine, "restore", top / "kept", "--data", data, "--files", top / "site2",
                   "--send")  # fmt: skip

    assert "PORTICO_DATA=/" in said  # a relative one would be below the site: another journal

    assert (top / "site2/channels/all.yaml").read_text() == (
        engine.site / "channels/all.yaml"
    ).read_text()
    manifest = json.loads((top / "kept/manifest.json").read_text())
    assert "data/secret" in manifest["files"]
    engine.environ["PORTICO_DATA"] = str(top / "new")
    engine.start()
    assert engine.status()["balanced"]


def test_a_folder_that_holds_something_is_not_written_to(ground):
    """Neither a backup's nor a data folder."""
    engine, *_ = ground
    full = engine.site.parent / "full"
    full.mkdir()
    (full / "file").touch()

    assert "not empty" in portico(engine, "backup", full, code=1)
    inside = engine.site / "channels/kept"
    assert "which is backed up" in portico(engine, "backup", inside, code=1)
    assert not inside.exists()
    portico(engine, "backup", engine.site.parent / "kept")
    said = portico(engine, "restore", engine.site.parent / "kept", "--data", full, code=1)
    assert "not empty" in said


def test_a_journal_by_url_is_the_dbas(ground):
    """It says so, and touches nothing."""
    engine, *_ = ground
    url = "postgresql://nobody@127.0.0.1:1/none"

    said = portico(engine, "backup", "x", code=1, PORTICO_JOURNAL_URL=url)

    assert "pg_basebackup" in said


def test_a_hostile_backup_reaches_no_file_outside(ground, tmp_path):
    """A link, a file that the manifest does not name, a name that leads out: each is refused
    before anything is written. What is restored is its owner's alone, whatever it was unpacked
    as."""
    engine, *_ = ground
    engine.end()
    whole, data = tmp_path / "whole", tmp_path / "never"
    assert "whatever secrets lie in config/" in portico(engine, "backup", whole)

    def hostile(name):
        return shutil.copytree(whole, tmp_path / name, symlinks=True)

    link = hostile("link")
    (link / "data/stolen").symlink_to("/etc/passwd")
    folder = hostile("folder")
    (folder / "site/transforms/all").symlink_to("/etc")
    more = hostile("more")
    (more / "data/extra").write_text("x")
    outside = hostile("outside")
    told = json.loads((outside / "manifest.json").read_text())
    told["files"]["../../etc/passwd"] = [1, "0"]
    (outside / "manifest.json").write_text(json.dumps(told))
    for one, words in (
        (link, "a backup has no links"),
        (folder, "a backup has no links"),
        (more, "is not of this backup"),
        (outside, "names a file outside"),
    ):
        assert words in portico(engine, "restore", one, "--data", data, code=1)
    assert not data.exists()

    (whole / "data/secret").chmod(0o644)
    portico(engine, "restore", whole, "--data", data)
    assert [oct(path.stat().st_mode)[-3:] for path in (data, data / "secret")] == ["700", "600"]
