"""The SFTP server source: `source: {type: sftp-server, listen: HOST:PORT, path: DIR}`.

Its users may put files and nothing else: no shell, no command, no forwarding, no reading back.
The algorithms are those of remote/sftp.py.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import asyncssh
from pydantic import Field, model_validator

from portico import sockets
from portico.errors import ListenFailed, SecretMissing
from portico.events.auditing import LoginAccepted, LoginRefused
from portico.events.emit import Event
from portico.events.fetching import UploadDropped, UploadRefused
from portico.events.intake import ConnectionClosed, ConnectionOpened, ConnectionRefused
from portico.gate import NEAR, Gate, Networks
from portico.listeners.allowance import Allowance
from portico.listeners.contract import ListenerType, Receive, Surroundings
from portico.listeners.http_auth import same
from portico.listeners.inbox import Inbox
from portico.listeners.sftpsession import UploadSession
from portico.listeners.sftpusers import SftpUser, Uploads
from portico.remote.sftp import CIPHERS, KEX, MACS, SIGNATURES
from portico.spec.fields import (
    Address,
    Count,
    Duration,
    HostPort,
    Options,
    Size,
    Text,
    wrong,
)
from portico.spec.secrets import SecretField

_TRIES = 6  # logins of one connection that may fail
_LOGIN = 30.0  # seconds until somebody is logged in


class SftpServerSource(Options):
    """Options of an SFTP server. path: of the users' folders, relative to the site.

    limit: of one file; uploads: what is not whole yet; idle: silence after which a session is
    ended. Seconds, bytes.
    """

    listen: Address
    path: Annotated[Text, Field(min_length=1)]
    host_key: SecretField
    users: Annotated[dict[Text, SftpUser], Field(min_length=1)]
    allow: Networks = NEAR
    connections: Count = 100
    limit: Size = 1 << 30
    uploads: Uploads = Uploads()
    idle: Duration = 3600.0

    @model_validator(mode="after")
    def _room(self) -> "SftpServerSource":
        if not self.limit <= self.uploads.user <= self.uploads.all:
            text = "a file of `limit` needs room among the unfinished uploads"
            hint = "limit <= uploads.user <= uploads.all"
            raise wrong("config.value", text, hint)
        return self


class SftpServer:
    """One port of one channel: a Listener."""

    def __init__(self, channel: str, source: SftpServerSource, around: Surroundings) -> None:
        assert around.fetching is not None
        self.channel, self.fetching, self.emit = channel, around.fetching, around.emit
        self.going = asyncio.Event()
        self.going.set()
        self.now: Callable[[], int] = around.clock.time_ns
        self._seconds = around.clock.monotonic
        self._root, self._environ = around.root, around.environ
        self._source = source
        self.gate = Gate(source.allow, source.connections)
        self._allowance = Allowance(source.uploads.user, source.uploads.all)
        self.doors: set[Login] = set()
        self._passwords: dict[str, bytes] = {}
        self._keys: dict[str, set[bytes]] = {}
        self._heard: dict[Any, float] = {}
        self._server: asyncssh.SSHAcceptor | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises ListenFailed with what is in the way."""
        where = self._source.listen
        try:
            host_key = await asyncio.to_thread(self._prepare)
            self._server = await asyncssh.listen(
                where.host,
                where.port,
                server_factory=lambda: Login(self),
                server_host_keys=[host_key],
                sftp_factory=partial(UploadSession, self),
                allow_scp=False,
                allow_pty=False,
                agent_forwarding=False,
                x11_forwarding=False,
                gss_host=None,
                line_editor=False,
                config=None,
                login_timeout=_LOGIN,
                keepalive_interval=60,
                kex_algs=KEX,
                encryption_algs=CIPHERS,
                mac_algs=MACS,
                signature_algs=SIGNATURES,
                server_version="Portico",
            )
        except (SecretMissing, asyncssh.KeyImportError) as error:
            raise ListenFailed(f"host_key or a password: {error}") from None
        except OSError as error:
            words = sockets.in_the_way(error)
            raise ListenFailed(f"{where}: {words}") from error
        self._sweeper = asyncio.ensure_future(self._sweep())

    @property
    def address(self) -> HostPort:
        """Where it listens, with the port that the system chose for port 0."""
        assert self._server is not None
        host, port, *_ = self._server.sockets[0].getsockname()
        return HostPort(host, port)

    def hold(self) -> None:
        """Take no file; sessions wait."""
        self.going.clear()

    def release(self) -> None:
        """Take files again."""
        self.going.set()

    def adopt(self, source: object) -> bool:
        """Never: its users connect again."""
        return False

    async def stop(self, grace: float) -> None:
        """Accept no more; let answers that are owed leave; then close."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for door in tuple(self.doors):
            door.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self.doors:
                    await asyncio.gather(*(door.gone.wait() for door in tuple(self.doors)))
        for door in tuple(self.doors):
            door.abort()

    def connections(self) -> int:
        """How many users are connected now."""
        return len(self.doors)

    def inbox(self, user: str) -> Inbox:
        """What this user sees."""
        return Inbox(user, self.folder(user), self._source.limit, self._allowance)

    def folder(self, user: str) -> Path:
        """Where a user's uploads are spooled."""
        named = self._source.users[user].folder or user
        return self._root / self._source.path / named

    def no_room(self, user: str, peer: str) -> None:
        """An upload was refused, since too much is not whole."""
        self.emit(UploadRefused(self.channel, f"{user}@{peer}"))

    def over(self, user: str, peer: str, unfinished: int) -> None:
        """A session ended."""
        if unfinished:
            self.emit(UploadDropped(self.channel, f"{user}@{peer}", unfinished))

    def heard(self, connection: Any) -> None:
        """A request came."""
        self._heard[connection] = self._seconds()

    def quiet(self, connection: Any) -> None:
        """A connection is over."""
        self._heard.pop(connection, None)

    def password_fits(self, user: str, password: str) -> bool:
        """In the same time for every user, known or not."""
        wanted = self._passwords.get(user, b"")
        return same(wanted, password) & bool(wanted)

    def known(self, user: str) -> str:
        """The name, where it is one of ours: others may be passwords in the wrong field."""
        return user if user in self._source.users else ""

    def key_fits(self, user: str, key: asyncssh.SSHKey) -> bool:
        """Whether this is one of the user's keys."""
        return key.public_data in self._keys.get(user, ())

    def _prepare(self) -> asyncssh.SSHKey:
        """In a thread: secrets read, folders made; the host key."""
        for name, user in self._source.users.items():
            if user.password is not None:
                secret = user.password.reveal(self._root, self._environ)
                self._passwords[name] = secret.encode()
            keys = (asyncssh.import_public_key(one) for one in user.key)
            self._keys[name] = {one.public_data for one in keys}
            self.folder(name).mkdir(0o700, parents=True, exist_ok=True)
        text = self._source.host_key.reveal(self._root, self._environ)
        return asyncssh.import_private_key(text + "\n")

    async def _sweep(self) -> None:
        """End sessions that have been silent for long."""
        while True:
            await asyncio.sleep(max(0.05, min(10.0, self._source.idle / 4)))
            limit = self._seconds() - self._source.idle
            for connection, at in tuple(self._heard.items()):
                if at < limit:
                    connection.disconnect(asyncssh.DISC_BY_APPLICATION, "idle")


class Login(asyncssh.SSHServer):
    """One connection until somebody is logged in."""

    def __init__(self, owner: SftpServer) -> None:
        self._owner = owner
        self._failed = 0
        self._connection: Any = None
        self._peer, self._shown, self._in = "", "", False
        self._unknown: LoginRefused | None = None  # by the last key, if none has fitted
        self.gone = asyncio.Event()

    def connection_made(self, conn: Any) -> None:
        """asyncssh: somebody knocks."""
        owner, self._connection = self._owner, conn
        host, port, *_ = conn.get_extra_info("peername")
        self._peer = str(HostPort(host, port))
        code = owner.gate.refusal(host, len(owner.doors))
        if code is not None:
            self._emit(ConnectionRefused(owner.channel, self._peer, code))
            conn.abort()
            return
        self._in = True
        owner.doors.add(self)
        owner.heard(conn)
        self._emit(ConnectionOpened(owner.channel, self._peer))

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncssh: it is over."""
        self._owner.quiet(self._connection)
        self._owner.doors.discard(self)
        self.gone.set()
        if self._unknown is not None:
            self._emit(self._unknown)
        if self._in:
            self._emit(ConnectionClosed(self._owner.channel, self._peer, "peer", 0))

    def begin_auth(self, username: str) -> bool:
        """Everybody has to show who they are."""
        return True

    def auth_completed(self) -> None:
        """asyncssh: somebody is in."""
        owner, user = self._owner, self._connection.get_extra_info("username")
        self._unknown = None
        self._emit(LoginAccepted(owner.channel, self._peer, owner.known(user), self._shown))

    def password_auth_supported(self) -> bool:
        """Always offered, so that nobody learns which users have one."""
        return True

    def public_key_auth_supported(self) -> bool:
        """The same."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """asyncssh: whether it fits."""
        return self._counted(
            username, self._owner.password_fits(username, password), "password"
        )

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """asyncssh: whether it is a key of the user's. Clients offer all that they have: that
        one does not fit is told once, and only if nothing else did."""
        return self._counted(username, self._owner.key_fits(username, key), "key")

    def end(self) -> None:
        """Say goodbye once what is under way is done."""
        self._connection.close()

    def abort(self) -> None:
        """Cut it off."""
        self._connection.abort()

    def _counted(self, user: str, good: bool, kind: str) -> bool:
        owner, self._shown = self._owner, kind
        if good:
            return True
        self._failed += 1
        refused = LoginRefused(owner.channel, self._peer, owner.known(user), kind)
        if kind == "key":
            self._unknown = refused
        else:
            self._emit(refused)
        if self._failed >= _TRIES:
            self._connection.disconnect(
                asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "too many failures"
            )
        return False

    def _emit(self, event: Event) -> None:
        self._owner.emit(event)


def _build(channel: str, source: Any, receive: Receive, around: Surroundings) -> SftpServer:
    return SftpServer(channel, source, around)


SFTP_SERVER = ListenerType(
    name="sftp-server",
    summary="files that users put by SFTP; we listen",
    options=SftpServerSource,
    build=_build,
)
