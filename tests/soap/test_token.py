"""portico.soap.token: nonces, when there are very many."""

from portico.soap import token
from portico.soap.token import Tokens


class Now(float):
    """A moment that counts what is compared with it."""

    looks = 0

    def __lt__(self, other):
        """Whether it comes before that."""
        Now.looks += 1
        return super().__lt__(other)


def test_a_table_that_is_full_is_not_walked_through_for_each_request(monkeypatch):
    """A sender of some hundreds a second: what does not count any more makes room once a
    second, and the loop is others' between."""
    monkeypatch.setattr(token, "NONCES", 1000)
    tokens = Tokens()
    assert all(tokens._first(n.to_bytes(4), 0.0) for n in range(1000))

    taken = [tokens._first(n.to_bytes(4), Now(100 + n / 1000)) for n in range(1000, 2000)]
    assert not any(taken)
    assert Now.looks <= 3000
    assert tokens._first(b"new", 2 * token.WINDOW + 1.0)
    assert len(tokens._used) == 1
