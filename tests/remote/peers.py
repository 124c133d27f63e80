"""SFTP (paramiko) and FTP (pyftpdlib) servers on a folder: they share no code with ours."""

import os
import socket
import threading
from pathlib import Path

import paramiko
from paramiko import SFTPAttributes, SFTPHandle, SFTPServer, SFTPServerInterface
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer


def key(folder: Path, name: str = "key") -> paramiko.PKey:
    """A key that is made anew, as PEM beside the site."""
    made = paramiko.ECDSAKey.generate()
    made.write_private_key_file(str(folder / name))
    return made


class Handle(SFTPHandle):
    """An open file; what its `closing` raises is the server's failure to close it."""

    def close(self):
        """Close it, then fail if that is wanted."""
        super().close()
        self.closing()


class Folder(SFTPServerInterface):
    """Serves `server.folder`, and counts what it is asked."""

    def __init__(self, server, *args):
        super().__init__(server, *args)
        self._peer = server.peer

    def _at(self, path):
        return str(self._peer.folder) + self.canonicalize(path)

    def _done(self, call, *args):
        try:
            return call(*args)
        except OSError as error:
            return SFTPServer.convert_errno(error.errno)

    def list_folder(self, path):
        """Names with their attributes, links as links."""

        def listing():
            self._peer.listing()
            found = []
            for name in os.listdir(self._at(path)):
                one = SFTPAttributes.from_stat(os.lstat(self._at(path) + "/" + name))
                one.filename = name
                found.append(one)
            return found

        return self._done(listing)

    def stat(self, path):
        """Links followed."""
        return self._done(lambda: SFTPAttributes.from_stat(os.stat(self._at(path))))

    def lstat(self, path):
        """Links not followed."""
        return self._done(lambda: SFTPAttributes.from_stat(os.lstat(self._at(path))))

    def open(self, path, flags, attr):
        """Read or write."""

        def opened():
            handle = Handle(flags)
            handle.closing = self._peer.closing
            number = os.open(self._at(path), flags, 0o600)
            mode = "rb" if not flags & (os.O_WRONLY | os.O_RDWR) else "r+b"
            handle.readfile = handle.writefile = os.fdopen(number, mode)
            return handle

        return self._done(opened)

    def _status(self, call, *args):
        done = self._done(call, *args)
        return done if isinstance(done, int) else paramiko.SFTP_OK

    def remove(self, path):
        """Remove a file."""
        return self._status(os.remove, self._at(path))

    def rename(self, old, new):
        """Version 3: fails where the new name is taken."""
        if os.path.lexists(self._at(new)):
            return paramiko.SFTP_FAILURE
        self._peer.hook("rename")
        return self._status(os.rename, self._at(old), self._at(new))

    def posix_rename(self, old, new):
        """OpenSSH's extension."""
        return self._status(os.replace, self._at(old), self._at(new))

    def mkdir(self, path, attr):
        """Make a folder."""
        return self._status(os.mkdir, self._at(path))


class Doorman(paramiko.ServerInterface):
    """One user with one password, or one key."""

    def __init__(self, peer):
        self.peer, self.folder = peer, peer.folder

    def check_auth_password(self, username, password):
        """lab, and the password of the test."""
        good = (username, password) == ("lab", self.peer.password)
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username, key):
        """lab, with the key that is allowed."""
        good = username == "lab" and key == self.peer.allowed
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        """Both."""
        return "password,publickey"

    def check_channel_request(self, kind, chanid):
        """Sessions."""
        return paramiko.OPEN_SUCCEEDED


class PosixPeer:
    """The server. hook, closing, listing: called at each rename, at the end of each file and
    before each listing, to break what a test wants broken."""

    def __init__(self, folder: Path, password: str = "correct horse") -> None:
        self.folder, self.password, self.allowed = folder, password, None
        self.hook = lambda what: None
        self.closing = self.listing = lambda: None
        self.host_key = paramiko.ECDSAKey.generate()
        self.transports: list[paramiko.Transport] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def fingerprint(self) -> str:
        """As a site pins it."""
        return self.host_key.fingerprint

    def _accept(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.host_key)
            transport.set_subsystem_handler("sftp", SFTPServer, Folder)
            self.transports.append(transport)
            try:
                transport.start_server(server=Doorman(self))
            except (paramiko.SSHException, EOFError):
                continue

    def cut(self):
        """Hang up on everybody."""
        for transport in self.transports:
            transport.close()
        self.transports.clear()

    def close(self):
        """No more."""
        self._listening.close()
        self.cut()


class FtpPeer:
    """pyftpdlib's server on a folder, in a thread; with a certificate it insists on TLS.
    commands: methods of its handler that a test replaces.
    """

    def __init__(
        self, folder: Path, certificate: Path | None = None, key=None, commands=None
    ) -> None:
        self.folder, self.password = folder, "correct horse"
        authorizer = DummyAuthorizer()
        authorizer.add_user("lab", self.password, str(folder), perm="elradfmwMT")
        kind = TLS_FTPHandler if certificate else FTPHandler
        options = {"authorizer": authorizer, "banner": "test", **(commands or {})}
        if certificate:
            options |= {
                "certfile": str(certificate),
                "keyfile": str(key),
                "tls_control_required": True,
                "tls_data_required": True,
            }
        handler = type("Handler", (kind,), options)
        self._loop = IOLoop()
        self.server = FTPServer(("127.0.0.1", 0), handler, ioloop=self._loop)
        self.port = self.server.socket.getsockname()[1]
        self._open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while self._open:
            self._loop.loop(timeout=0.01, blocking=False)

    def close(self):
        """No more."""
        self._open = False
        self._thread.join(5)
        self.server.close_all()
