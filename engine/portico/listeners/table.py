"""Source types by their YAML name; loaded only when a site uses them."""

LISTENERS: dict[str, str] = {
    "folder": "portico.listeners.folder:FOLDER",
    "ftp": "portico.listeners.ftp:FTP",
    "https": "portico.listeners.https:HTTPS",
    "sftp": "portico.listeners.sftp:SFTP",
    "sftp-server": "portico.listeners.sftpserver:SFTP_SERVER",
    "schedule": "portico.listeners.schedule:SCHEDULE",
    "mllp": "portico.listeners.mllp:MLLP",
    "soap": "portico.listeners.soap:SOAP",
    "tcp": "portico.listeners.tcp:TCP",
}

# Known to the language, not built yet: `check` says so instead of "unknown type".
PLANNED: tuple[str, ...] = ()
