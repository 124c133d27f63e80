"""Every type of source and destination on the site of one drill, each with its own peer."""

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg

from drills import feeds, oracle
from drills.appliance import until
from drills.drill import Drill
from drills.feeds import Feed
from drills.sink import Sink
from drills.takers import FileTaker, SoapTaker, TcpTaker, WebTaker
from ports import free_port
from remote.peers import FtpPeer, PosixPeer, key

_POLLED = "every: 200ms, ready: rename"
_SERVER = "address: '127.0.0.1:{port}', user: lab, password: '${{env:DRILL_LAB}}'"
_SECOND = timedelta(seconds=1)
_NUMBERED = re.compile(r"-\d+(?=\.json)")
PASSWORD = "correct horse"  # of remote.peers

_SOURCES = {
    "tcp": "type: tcp, listen: '127.0.0.1:{tcp}', frame: {{start: STX, end: ETX}}",
    "https": "type: https, listen: '127.0.0.1:{https}', path: /adt",
    "soap": "type: soap, listen: '127.0.0.1:{soap}', path: /iis, profile: cdc-iis",
    "upload": "type: sftp-server, listen: '127.0.0.1:{upload}', path: {root}/uploads, "
    "host_key: '${{file:{root}/host}}', users: {{lab: {{password: '${{env:DRILL_LAB}}'}}}}",
    "sftp": "type: sftp, address: '127.0.0.1:{sftp_port}', user: lab, "
    "password: '${{env:DRILL_LAB}}', host_key: '{pin}', path: /in, {polled}",
    "ftp": "type: ftp, address: '127.0.0.1:{ftp_port}', user: lab, "
    "password: '${{env:DRILL_LAB}}', path: /in, {polled}",
    "folder": "type: folder, path: {root}/in, {polled}",
}
_DESTINATIONS = {
    "tcp": "type: tcp\naddress: 127.0.0.1:{to_tcp}\nframe: {{start: STX, end: ETX}}\n"
    "answer: {{matches: OK}}\n",
    "https": "type: https\naddress: http://127.0.0.1:{to_https}/adt\n",
    "soap": "type: soap\nprofile: cdc-iis\naddress: http://127.0.0.1:{to_soap}/iis\n",
    "sftp": "type: sftp\naddress: 127.0.0.1:{sftp_port}\nuser: lab\n"
    "password: ${{env:DRILL_LAB}}\nhost_key: {pin}\npath: /out\nfile: '{{MSH-10}}.hl7'\n",
    "ftp": "type: ftp\naddress: 127.0.0.1:{ftp_port}\nuser: lab\nconnections: 6\n"
    "password: ${{env:DRILL_LAB}}\npath: /out\nfile: '{{MSH-10}}.hl7'\n",
    "folder": "type: folder\npath: {root}/out\nfile: '{{MSH-10}}.hl7'\n",
}
_CHANNEL = "---\nchannel: {name}_in\nsource: {{{source}}}\norder_by: PID-3.1\n"
_DESTINATION = "---\ndestination: to_{name}\n{options}retry: {{first: 50ms, most: 500ms}}\n"
_AGENT = (
    "---\nagent: {name}\ngoal: Send on what comes\non: {{channel: [{channels}]}}\n"
    "steps: [{{send: {{to: [{to}], set: {{ZSQ-3: STAMPED}}}}}}]\n"
)
_FEEDS = (
    "---\ndestination: feeds\ntype: mllp\naddress: 127.0.0.1:{feeds}\nconnections: 4\n"
    "timeout: 2s\nretry: {{first: 50ms, most: 500ms}}\n"
)
_SECONDS = """---
channel: seconds
source: {{type: schedule, cron: "* * * * * *", timezone: UTC, catch_up: all, overlap: queue}}
---
agent: tick
goal: A file for each second
on: {{channel: seconds}}
steps: [{{send: {{to: ticks, file: "{{/planned}}.json"}}}}]
---
destination: ticks
type: folder
path: {root}/ticks
"""


class Ways:
    """Sets a Drill's site up, and asks its oracle about all of them."""

    def __init__(self, drill: Drill) -> None:
        self._drill, self._root = drill, drill.folder / "peers"
        for folder in ("in", "out", "ticks", "sftp/in", "sftp/out", "ftp/in", "ftp/out"):
            (self._root / folder).mkdir(parents=True)
        key(self._root, "host")
        (self._root / "host").chmod(0o600)
        self._servers = PosixPeer(self._root / "sftp"), FtpPeer(self._root / "ftp")
        self._ports = {
            name: free_port()
            for name in ("tcp", "https", "soap", "upload", "to_tcp", "to_https", "to_soap")
        }
        self.sink = Sink("feeds", free_port())
        self.takers = self._takers()
        drill.site.write(self._documents())
        drill.feeds = self._feeds()
        environ = drill.appliance.environ
        environ["DRILL_LAB"] = PASSWORD

    def _documents(self) -> str:
        sftp, ftp = self._servers
        words = {
            "root": self._root,
            "pin": sftp.fingerprint,
            "polled": _POLLED,
            "sftp_port": sftp.port,
            "ftp_port": ftp.port,
            "feeds": self.sink.port,
            **self._ports,
        }
        text = _FEEDS.format(**words) + _SECONDS.format(**words)
        for name, source in _SOURCES.items():
            text += _CHANNEL.format(name=name, source=source.format(**words))
        for name, options in _DESTINATIONS.items():
            text += _DESTINATION.format(name=name, options=options.format(**words))
        channels = ", ".join(f"{name}_in" for name in _SOURCES)
        to = ", ".join(f"to_{name}" for name in _DESTINATIONS)
        text += _AGENT.format(name="gather", channels=channels, to="feeds")
        return text + _AGENT.format(name="spread", channels="adt", to=to)

    def _feeds(self) -> list[Feed]:
        ports, root = self._ports, self._root
        kinds = {
            "tcp": lambda: feeds.TcpLine(ports["tcp"]),
            "https": lambda: feeds.WebLine(ports["https"]),
            "soap": lambda: feeds.SoapLine(ports["soap"]),
            "upload": lambda: feeds.UploadLine(ports["upload"]),
            "sftp": lambda: feeds.FolderLine(root / "sftp/in"),
            "ftp": lambda: feeds.FolderLine(root / "ftp/in"),
            "folder": lambda: feeds.FolderLine(root / "in"),
        }
        chance = self._drill.chance
        return [
            Feed(0, name.upper(), chance, connections=4, patients=12, pace=0.05, kind=kind)
            for name, kind in kinds.items()
        ]

    def _takers(self) -> dict[str, Sink]:
        ports, root = self._ports, self._root
        return {
            "tcp": TcpTaker("to_tcp", ports["to_tcp"]),
            "https": WebTaker("to_https", ports["to_https"]),
            "soap": SoapTaker("to_soap", ports["to_soap"]),
            "sftp": FileTaker("to_sftp", root / "sftp/out"),
            "ftp": FileTaker("to_ftp", root / "ftp/out"),
            "folder": FileTaker("to_folder", root / "out"),
        }

    async def __aenter__(self) -> "Ways":
        for one in (self.sink, *self.takers.values()):
            await one.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        for one in (self.sink, *self.takers.values()):
            await one.stop()
        for server in self._servers:
            server.close()

    async def load(self) -> None:
        """Begin to send, and wait until each source has answered once."""
        for one in self._drill.feeds:
            one.start()
        await until(lambda: all(one.acknowledged for one in self._drill.feeds), 60, "answers")

    def told(self) -> str:
        """How many messages each source had taken, and each destination got."""
        feeds = (f"{one.name.lower()} {len(one.acknowledged)}" for one in self._drill.feeds)
        takers = (f"{one.name} {len(one.received)}" for one in self.takers.values())
        return ", ".join((*feeds, *takers))

    async def verify(self) -> None:
        """End the load and ask the oracle about every source and destination."""
        drill = self._drill
        for one in (drill.source, *drill.feeds):
            try:
                await one.finish(drill.plan.patience)
            except TimeoutError:
                raise AssertionError(drill.told([f"{one.name} waits for ever"])) from None
        owed = [one.sent for feed in drill.feeds for one in feed.acknowledged]
        found = await self._settled(self.sink, owed)
        for feed in drill.feeds:
            found += [f"{feed.name}: {text}" for text in oracle.answers(feed, waits=False)]
        for taker in self.takers.values():
            found += await self._settled(taker, [one.sent for one in drill.source.acknowledged])
        assert not found, drill.told(found)
        await drill.appliance.ask("pause", "seconds")  # so that the books can come to rest
        await drill.verify()
        found = await self._every_second()
        assert not found, drill.told(found)

    async def _settled(self, sink: Sink, owed: Sequence[oracle.Sent]) -> list[str]:
        """What is wrong with what it got, once it has all."""

        def missing() -> list[str]:
            if isinstance(sink, FileTaker):
                sink.look()
            return oracle.nothing_missing(owed, sink.received)

        try:
            await until(lambda: not missing(), self._drill.plan.patience)
        except TimeoutError:
            pass
        got = sink.received
        self._drill.second += oracle.seconds(got)
        faults = (
            *missing(),
            *oracle.order(got),
            *oracle.second_deliveries(got, self._drill.kills),
            *oracle.same_bytes(got),
        )
        return [f"{sink.name}: {text}" for text in faults]

    async def _every_second(self) -> list[str]:
        """Each planned second was fired and ran, from the first to the last; a repeat by a
        crash is known, so that a file comes twice only as any other delivery may."""
        statement = (
            "select distinct convert_from(b.content, 'utf8') from signal s "
            "join body b on b.signal = s.id and b.part = 0 where s.origin = 'seconds'"
        )
        async with await psycopg.AsyncConnection.connect(self._drill.conninfo()) as connection:
            rows = await (await connection.execute(statement)).fetchall()
        planned = [datetime.fromisoformat(json.loads(text)["planned"]) for (text,) in rows]
        gaps = [after - before for before, after in pairwise(sorted(planned))]
        faults = [f"seconds: {gap} from one to the next" for gap in set(gaps) if gap != _SECOND]
        names = [one.name for one in _shown(self._root / "ticks")]
        first = {_NUMBERED.sub("", name) for name in names}
        if len(first) != len(planned):
            faults.append(f"seconds: {len(planned)} were fired, {len(first)} files came")
        if len(names) - len(first) > len(self._drill.kills):
            faults.append(f"seconds: {len(names) - len(first)} files came twice")
        return faults


def _shown(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if one.name[0] != "."]
