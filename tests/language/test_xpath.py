"""portico.language.xpath: the part of XPath that places use."""

import pytest

from portico.errors import PathInvalid
from portico.language import xpath
from portico.language.xpath import PathStep


def test_steps_tests_and_an_attribute_are_read():
    """Children, `*`, positions, attribute tests in both quotes, and a last `@a`."""
    path = xpath.parse("/o:order/item[@use='a/b]'][2]/*/@p:code")
    assert path.steps == (
        PathStep(("o", "order")),
        PathStep(("", "item"), ((("", "use"), "a/b]"), 2)),
        PathStep(("", "*")),
    )
    assert path.attribute == ("p", "code")
    assert path.prefixes == {"o", "p"}
    assert xpath.parse('/a[@b="it\'s"]').steps[0].tests == ((("", "b"), "it's"),)


@pytest.mark.parametrize(
    "text",
    ["", "/", "a", "//a", "/a/", "/a/text()", "/a[0]", "/a[b='x']", "/a[last()]", "/@a",
     "/a/@*", "/a|/b", "/a/..", "/1a", "/a b", "/a[@b='x]", "/a/@b/c"],
)  # fmt: skip
def test_what_is_outside_of_that_part_says_how_to_write_it(text):
    """Nothing is evaluated that could take long: no axes, functions or descendants."""
    with pytest.raises(PathInvalid, match=r"try /child/p:child"):
        xpath.parse(text)
