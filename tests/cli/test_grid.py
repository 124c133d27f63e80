"""Tables as a terminal shows them."""

from portico.cli.grid import Grid

BOOKS = Grid(
    ("CHANNEL", "RECEIVED", "PARKED", "OWNER", "STATE"),
    frozenset({"RECEIVED", "PARKED"}),
    rows=[
        (("adt", "12", "0", "", "open 127.0.0.1:2575"), ""),
        (("oru", "5", "0", "", ""), "red"),
    ],
)


def test_values_stand_below_the_names_of_their_columns():
    """Numbers to the right; nothing is padded behind the last value."""
    assert [text for text, _ in BOOKS.lines()] == [
        "CHANNEL  RECEIVED  PARKED  OWNER  STATE",
        "adt            12       0         open 127.0.0.1:2575",
        "oru             5       0",
    ]


def test_a_narrow_terminal_is_spared_the_columns_in_which_nothing_stands():
    """No text, or 0 all the way down."""
    assert [text for text, _ in BOOKS.lines(50)] == [
        "CHANNEL  RECEIVED  STATE",
        "adt            12  open 127.0.0.1:2575",
        "oru             5",
    ]


def test_no_value_is_ever_broken_or_cut():
    """An id that cannot be copied in one piece is of no use: the line runs on."""
    table = Grid(
        ("ID", "REASON"), rows=[(("01a20058-e1f7-7000-809f-461916283f8f/s1", "why"), "")]
    )

    assert [text.split() for text, _ in table.lines(20)] == [
        ["ID", "REASON"],
        ["01a20058-e1f7-7000-809f-461916283f8f/s1", "why"],
    ]


def test_wide_characters_keep_the_columns_straight():
    """A name in Japanese takes two columns for each character."""
    table = Grid(("NAME", "N"), rows=[(("山田", "1"), ""), (("Ada", "2"), "")])

    assert [text for text, _ in table.lines()] == ["NAME  N", "山田  1", "Ada   2"]


def test_a_row_keeps_its_style():
    """What needs a person is red."""
    assert [style for _, style in BOOKS.lines()] == ["bold", "", "red"]
