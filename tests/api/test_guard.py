"""The token of /v1 on the network."""

import pytest

from portico.api.guard import TOKEN, Guard, token


def test_the_token_stays_and_is_its_owners_alone(tmp_path):
    """Made once; whatever its file's mode has become."""
    first = token(tmp_path)
    (tmp_path / TOKEN).chmod(0o644)

    assert token(tmp_path) == first
    assert len(first) >= 43
    assert (tmp_path / TOKEN).stat().st_mode & 0o777 == 0o600


def test_a_token_that_a_crash_cut_off_lets_nobody_in(tmp_path):
    """An empty file is no token: a new one is made."""
    (tmp_path / TOKEN).touch()

    assert len(token(tmp_path)) >= 43


def test_a_link_is_no_token(tmp_path):
    """Nobody else's file becomes the token, or is written to."""
    (tmp_path / "other").write_text("known to many")
    (tmp_path / TOKEN).symlink_to(tmp_path / "other")

    with pytest.raises(OSError):
        token(tmp_path)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (b"Bearer sesame", 200),
        (b"bearer sesame", 200),  # RFC 9110, section 11.1: in any case
        (b"BEARER  sesame", 200),
        (b"Basic sesame", 401),
        (b"Bearer sesame2", 401),
        (b"Bearersesame", 401),
        (b"sesame", 401),
        (b"", 401),
    ],
)
async def test_only_the_token_opens(given, status):
    """By any client's spelling of the scheme."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    said = []

    async def send(message):
        said.append(message)

    scope = {"type": "http", "headers": [(b"authorization", given)] if given else []}
    await Guard(app, "sesame", lambda event: None)(scope, None, send)

    assert said[0]["status"] == status
