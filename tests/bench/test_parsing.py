"""bench.parsing: the libraries are asked for the same, and a missed floor is told."""

from bench import parsing


def test_every_library_makes_the_same_edits():
    """Else the figures beside each other would say nothing."""
    content = parsing.adt()
    ours = parsing.edit(content)
    theirs = (parsing.edit_with_hl7(content), parsing.edit_with_hl7apy(content))

    assert ours != content
    assert [one.rstrip(b"\r") for one in theirs] == [ours.rstrip(b"\r")] * 2


def test_every_library_reads_the_same_fields():
    """Type, control id, patient and place."""
    content = parsing.adt()
    kind, control_id, patient, place = parsing.route(content)

    assert (kind, patient, place) == ("ADT^A01", "P000001", "W1")
    for route in (parsing.route_with_hl7, parsing.route_with_hl7apy):
        their_kind, *rest = route(content)
        assert str(their_kind).startswith("ADT")
        assert rest == [control_id.decode(), patient, place]


def test_floors_are_told_when_missed():
    """A slow act, and a byte that costs more in a large message."""
    good = {(name, "portico"): 1.0 for name in ("routing fields", "parse, three edits, encode")}
    slow = dict.fromkeys(good, 99.0)

    assert parsing.missed(good, {1: 1.0, 2: 1.0, 3: 2.9}) == []
    assert len(parsing.missed(slow, {1: 1.0, 2: 1.0, 3: 10.0})) == 3
