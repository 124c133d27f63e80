"""An SFTP server on a folder, for `bench.channels`: `python -m bench.fileserver FOLDER`.

Prints its port and the fingerprint of its key. User `bench`, password `bench`.
"""

import asyncio
import sys

import asyncssh


class Door(asyncssh.SSHServer):
    """Lets the benchmark in."""

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("bench", "bench")


async def serve(folder: str) -> None:
    """Until it is killed."""
    key = asyncssh.generate_private_key("ssh-ed25519")

    def files(channel: asyncssh.SSHServerChannel) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=folder)

    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Door, server_host_keys=[key], sftp_factory=files
    )
    print(server.get_port(), key.get_fingerprint(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
