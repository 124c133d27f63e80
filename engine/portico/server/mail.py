"""Alarms by mail: SMTP with STARTTLS, in a thread because smtplib waits."""

import asyncio
import base64
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path

from portico.server.telling import Notice, SinkRefused
from portico.spec.alarming import Mail

_TIMEOUT = 20.0
_LOGGED_IN = 235


async def send(mail: Mail, root: Path, environ: Mapping[str, str], notice: Notice) -> None:
    """Hand it to the mail server. Raises SinkRefused, SecretMissing."""
    password = mail.password.reveal(root, environ) if mail.password else ""
    message = written(mail, notice)
    try:
        await asyncio.to_thread(_deliver, mail, root, password, message)
    except (OSError, smtplib.SMTPException, ssl.SSLError) as error:
        raise SinkRefused(type(error).__name__) from None


def written(mail: Mail, notice: Notice) -> EmailMessage:
    """The letter."""
    letter = EmailMessage()
    letter["Subject"] = notice.subject()
    letter["From"], letter["To"] = mail.from_, ", ".join(mail.to)
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    letter.set_content("".join(f"{key}: {value}\n" for key, value in notice.plain().items()))
    return letter


def _deliver(mail: Mail, root: Path, password: str, message: EmailMessage) -> None:
    with smtplib.SMTP(mail.server.host, mail.server.port, timeout=_TIMEOUT) as line:
        if mail.starttls:
            trust = str(root / mail.trust) if mail.trust else None
            line.starttls(context=ssl.create_default_context(cafile=trust))
        if mail.user:
            _login(line, mail.user, password)
        line.send_message(message)


def _login(line: smtplib.SMTP, user: str, password: str) -> None:
    """smtplib's own login takes ASCII only; beyond it AUTH PLAIN is UTF-8 (RFC 4616)."""
    if (user + password).isascii():
        line.login(user, password)
        return
    line.ehlo_or_helo_if_needed()
    plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    code, said = line.docmd("AUTH", f"PLAIN {plain}")
    if code != _LOGGED_IN:
        raise smtplib.SMTPAuthenticationError(code, said)
