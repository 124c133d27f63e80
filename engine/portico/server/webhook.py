"""Alarms by webhook: one POST of JSON, which any 2xx takes."""

from collections.abc import Mapping
from pathlib import Path

import httpx2

from portico.server.telling import Notice, SinkRefused
from portico.spec.secrets import Secret

_TIMEOUT = 10.0


async def send(address: Secret, root: Path, environ: Mapping[str, str], notice: Notice) -> None:
    """POST it. The address is a secret (it often holds a token), so no error repeats it.

    Redirects are not followed. Raises SinkRefused, SecretMissing.
    """
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client:
            answer = await client.post(address.reveal(root, environ), json=notice.plain())
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:  # bare TLS errors too
        raise SinkRefused(type(error).__name__) from None
    if not answer.is_success:
        raise SinkRefused(str(answer.status_code))
