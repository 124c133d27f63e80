"""portico.language.xmlview and .xmltree: XML content, its bounds and its places."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import ContentInvalid, PathInvalid, TextUnencodable
from portico.language import xmltree, xmlview
from portico.language.content import Content, open_content
from portico.language.xmlview import XmlView

KIND = Content("xml", (("o", "urn:orders"), ("x", "urn:other")))
ORDER = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n'
    b"<!-- lab -->\n"
    b'<o:order xmlns:o="urn:orders" id="7">\n'
    b"  <patient><mrn>123</mrn><name/></patient>\n"
    b'  <item use="a"><code>X1</code></item><item use="b"><code>X2</code>tail</item>\n'
    b"  <note>5 &lt; 6<!-- c --> &amp; more</note><o:mark>m</o:mark><cd><![CDATA[<b>]]></cd>\n"
    b"</o:order>\n"
)
TEXTS = st.text(
    st.characters(
        exclude_categories=["Cs"],
        exclude_characters=[chr(c) for c in range(32) if c not in (9, 10, 13)]
        + ["\ufffe", "\uffff"],
    ),
    min_size=1,
)


def view(content=ORDER, kind=KIND):
    """A view of an XML content."""
    made = open_content(kind, content)
    assert isinstance(made, XmlView)
    return made


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("/o:order/@id", "7"),
        ("/o:order/patient/mrn", "123"),
        ("/*/patient/mrn", "123"),
        ("/o:order/item/code", "X1"),
        ("/o:order/item[2]/code", "X2"),
        ("/o:order/item[@use='b']/code", "X2"),
        ("/o:order/item[@use='b'][1]/@use", "b"),
        ("/o:order/item[@use='b'][2]/@use", None),
        ("/o:order/note", "5 < 6 & more"),
        ("/o:order/cd", "<b>"),
        ("/o:order/item", '<item xmlns:o="urn:orders" use="a"><code>X1</code></item>'),
        ("/o:order/patient/name", None),
        ("/o:order/nothing", None),
        ("/order/patient/mrn", None),
        ("/x:order/patient/mrn", None),
        ("/o:order/mark", None),
        ("/o:order/o:mark", "m"),
    ],
)
def test_a_path_gives_the_first_element_or_attribute(place, text):
    """Text of a leaf, XML of what has elements inside; empty is absent."""
    assert view().text_at(place) == text


def test_a_prefix_that_the_site_did_not_name_is_told():
    """The prefixes of the document are its own matter."""
    with pytest.raises(PathInvalid, match=r"'z' is not among content\.namespaces"):
        view().text_at("/z:order")


def test_without_namespaces_of_the_site_those_of_the_root_hold():
    """What agents emit says itself what its prefixes mean."""
    plain = view(ORDER, Content("xml"))
    assert plain.text_at("/o:order/o:mark") == "m"
    with pytest.raises(PathInvalid):
        plain.text_at("/x:order")


def put(content, place, text, kind=KIND):
    """The bytes after one write."""
    edited = view(content, kind).fork()
    xmltree.put(edited.root, edited.target(place), text)
    return edited.encode()


def test_an_edit_changes_its_element_alone():
    """Declaration, comments, CDATA, tails and the last line end stay; CRLF inside is LF."""
    expected = ORDER.replace(b"<mrn>123</mrn>", b"<mrn>4&lt;5</mrn>")
    assert put(ORDER, "/o:order/patient/mrn", "4<5") == expected


def test_missing_elements_are_made_on_the_way():
    """With the attributes that the path asks for, once those before them are there."""
    written = put(b"<a><b/></a>", "/a/c[@k='v'][1]/x:d/@e", "1")
    assert written == b'<a><b/><c k="v"><ns0:d xmlns:ns0="urn:other" e="1"/></c></a>'
    assert put(b"<a><b/></a>", "/a/b[2]", "x") == b"<a><b/><b>x</b></a>"
    for content, place, why in (
        (b"<a><b/></a>", "/a/b[3]", "before it"),
        (b"<a>text</a>", "/a/b", "in the way"),
        (b"<a/>", "/b", "root"),
        (b"<a/>", "/a/*", "names no element"),
    ):
        with pytest.raises(PathInvalid, match=why):
            put(content, place, "x")


def test_removing_keeps_what_stands_behind():
    """The text behind an element is its parent's; the root stays."""
    edited = view(b"<a>1<b c='2'/>3<d/>4</a>").fork()
    for place in ("/a/b/@c", "/a/d", "/a/b", "/a/zz"):
        xmltree.drop(edited.root, edited.target(place))
    assert edited.encode() == b"<a>134</a>"
    with pytest.raises(PathInvalid, match="root"):
        xmltree.drop(edited.root, edited.target("/a"))


@pytest.mark.parametrize("codec", ["iso-8859-1", "utf-16", "us-ascii", "windows-1252"])
def test_an_edited_document_keeps_its_encoding(codec):
    """What it cannot carry becomes a character reference, never `?`."""
    content = f'<?xml version="1.0" encoding="{codec}"?><a><b>1</b></a>'.encode(codec)
    written = put(content, "/a/b", "Zoë €")
    assert written.decode(codec).startswith(content.decode(codec)[:30])
    assert view(written).text_at("/a/b") == "Zoë €"


@given(TEXTS)
def test_a_text_that_is_set_reads_back_and_is_never_mark_up(text):
    """For any text that XML carries, CR too, in an element and in an attribute."""
    written = put(b"<a><b k='1'>x</b><c>y</c></a>", "/a/b", text)
    written = put(written, "/a/b/@k", text)
    again = view(written)
    assert again.text_at("/a/b") == text
    assert again.text_at("/a/b/@k") == text
    assert again.text_at("/a/c") == "y"
    assert [child.tag for child in again.root] == ["b", "c"]


@pytest.mark.parametrize("text", ["a\x00b", "\x1b", "\x0b", "\ufffe", "\ud800"])
def test_what_xml_cannot_carry_is_an_error_with_its_place(text):
    """Control characters have no form in XML at all."""
    for place in ("/a/b", "/a/@b"):
        with pytest.raises(TextUnencodable) as caught:
            put(b"<a><b/></a>", place, text)
        assert caught.value.location == place


BILLION = b'<!DOCTYPE l [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY a%d "%b">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)
) + b"]><l>&a9;</l>"  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("billion laughs", BILLION),
        ("quadratic", b'<!DOCTYPE a [<!ENTITY e "%b">]><a>' % (b"x" * 99_999) + b"&e;" * 9999),
        ("external", b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'),
        ("undefined entity", b"<a>&e;</a>"),
        ("depth", b"<a>" * 65 + b"</a>" * 65),
        ("depth 100k", b"<a>" * 100_000 + b"</a>" * 100_000),
        ("open tags", b"<a>" * 900_000),
        ("many tags", b"<a>" + b"<b/>" * 1_000_000 + b"</a>"),
        ("64 MiB of text", b"<a>" + b"x" * (64 << 20) + b"</a>"),
        ("64 MiB of attribute", b"<a b='" + b"x" * ((64 << 20) - 20) + b"'/>"),
        ("a long name", b"<" + b"a" * 10_000_000 + b"/>"),
        ("an endless comment", b"<!--" + b"-" * 10_000_000),
        ("comments", b"<!---->" * 900_000),
        ("nul", b"<a>\x00</a>"),
        ("latin", b"<a>\xe9</a>"),
        ("two roots", b"<a/><b/>"),
        ("duplicate attribute", b"<a b='1' b='2'/>"),
        ("namespace", b"<q:a/>"),
        ("xinclude", b'<a xmlns:xi="http://www.w3.org/2001/XInclude">&xi;</a>'),
    ],
)  # fmt: skip
def test_hostile_xml_is_refused_in_bounded_time(name, content):
    """A typed error that quotes nothing; the slowest within two seconds of a busy machine."""
    begun = time.process_time()
    with pytest.raises(ContentInvalid) as caught:
        view(content).check()
    assert time.process_time() - begun < 2, name
    assert "passwd" not in str(caught.value) and "xxx" not in str(caught.value)
    assert len(str(caught.value)) < 120


def test_many_attributes_and_namespaces_stay_linear():
    """100,000 of each are taken in well under a second."""
    begun = time.process_time()
    attributes = b" ".join(b'a%d="1"' % n for n in range(100_000))
    spaces = b" ".join(b'xmlns:n%d="u%d"' % (n, n) for n in range(100_000))
    assert view(b"<a %b %b/>" % (attributes, spaces)).text_at("/a/@a99999") == "1"
    assert time.process_time() - begun < 2


@given(st.binary(max_size=60))
def test_random_bytes_are_xml_or_a_typed_error(content):
    """No other exception, whatever comes."""
    for head in (b"", b"<a>", b"<?xml version='1.0' encoding='"):
        try:
            XmlView(head + content, KIND).check()
        except ContentInvalid:
            continue


def test_the_root_is_the_type():
    """`type` of the envelope: the local name."""
    assert view().check() == "order"
    assert xmlview.MARKS == 1_000_000
