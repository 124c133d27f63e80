"""Destination types by their YAML name; loaded only when a site uses them."""

DESTINATIONS: dict[str, str] = {
    "folder": "portico.destinations.folder:FOLDER",
    "ftp": "portico.destinations.ftp:FTP",
    "https": "portico.destinations.https:HTTPS",
    "log": "portico.destinations.log:LOG",
    "sftp": "portico.destinations.sftp:SFTP",
    "mllp": "portico.destinations.mllp:MLLP",
    "soap": "portico.destinations.soap:SOAP",
    "tcp": "portico.destinations.tcp:TCP",
}

# Known to the language, not built yet: `check` says so instead of "unknown type".
PLANNED: tuple[str, ...] = ()
