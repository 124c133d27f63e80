"""Alarms by webhook: one POST of JSON, which any 2xx takes."""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import httpx2

from portico.server.telling import Notice, SinkRefused
from portico.spec.secrets import Secret

_TIMEOUT = 10.0


@cache
def _trust() -> ssl.SSLContext:
    """What the machine trusts; reading it takes 20 ms."""
    return httpx2.create_ssl_context(trust_env=False)


async def send(address: Secret, root: Path, environ: Mapping[str, str], notice: Notice) -> None:
    """POST it. The address is a secret (it often holds a token), so no error repeats it.

    Redirects are not followed. Raises SinkRefused, SecretMissing.
    """
    trust = await asyncio.to_thread(_trust)
    try:
        async with httpx2.AsyncClient(
            verify=trust, timeout=_TIMEOUT, trust_env=False
        ) as client:
            answer = await client.post(address.reveal(root, environ), json=notice.plain())
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:  # bare TLS errors too
        raise SinkRefused(type(error).__name__) from None
    if not answer.is_success:
        raise SinkRefused(str(answer.status_code))
