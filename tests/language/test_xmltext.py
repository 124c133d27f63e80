"""portico.language.xmltext: what stands around a tree."""

import pytest

from portico.errors import ContentInvalid
from portico.language import xmltext

DECLARED = '<?xml version="1.0" encoding="{}"?>\n'


@pytest.mark.parametrize(
    ("content", "codec", "lead"),
    [
        (b"<a/>", "utf-8", b""),
        (b"\xef\xbb\xbf<a/>", "utf-8", b"\xef\xbb\xbf"),
        (b"<?xml version='1.0'?>\r\n<a/>", "utf-8", b"<?xml version='1.0'?>\r\n"),
        (DECLARED.format("ISO-8859-15").encode() + b"<a/>", "iso8859-15", None),
        (DECLARED.format("windows-1252").encode() + b"<a/>", "cp1252", None),
        ("\ufeff<a/>".encode("utf-16-le"), "utf-16-le", b"\xff\xfe"),
        ("\ufeff<a/>".encode("utf-16-be"), "utf-16-be", b"\xfe\xff"),
        (DECLARED.format("UTF-16").encode("utf-16-be") + "<a/>".encode("utf-16-be"),
         "utf-16-be", None),
    ],
)  # fmt: skip
def test_the_encoding_is_that_of_the_mark_or_the_declaration(content, codec, lead):
    """And the rest is the same text in UTF-8."""
    prolog = xmltext.read(content)
    assert (prolog.codec, prolog.body, prolog.root) == (codec, b"<a/>", "a")
    assert lead is None or prolog.lead == lead
    assert prolog.lead + prolog.body.decode().encode(codec) == content


@pytest.mark.parametrize(
    ("head", "root"),
    [(b"<o:order a='1'>", "order"), (b"<!-- <x> --><?pi ?x?>\n<B\n>", "B"),
     ("<Größe/>".encode(), "Größe"), (b"<a.b-c/>", "a.b-c")],
)  # fmt: skip
def test_the_root_is_named_without_its_prefix(head, root):
    """Comments and processing instructions stand before it."""
    assert xmltext.read(head).root == root


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE a><a/>",
        b"<?xml version='1.0'?>\n<!-- x --><!DOCTYPE a SYSTEM 'http://evil/x'><a/>",
        "\ufeff<!DOCTYPE a><a/>".encode("utf-16-le"),
        DECLARED.format("UTF-16").encode("utf-16-le") + "<!DOCTYPE a><a/>".encode("utf-16-le"),
    ],
)
def test_a_document_type_declaration_is_refused_in_any_encoding(content):
    """Without one there is no entity to expand and nothing to fetch."""
    with pytest.raises(ContentInvalid, match="document type declaration"):
        xmltext.read(content)


@pytest.mark.parametrize(
    "name",
    ["UTF-7", "EBCDIC-CP-US", "cp037", "base64", "hex", "rot13", "utf-16", "UTF-32", "gb18030",
     "iso-2022-jp", "unheard-of"],
)  # fmt: skip
def test_an_encoding_that_could_hide_mark_up_is_refused(name):
    """`<` must be `<`: a document type declaration cannot hide in UTF-7."""
    with pytest.raises(ContentInvalid, match="encoding"):
        xmltext.read(DECLARED.format(name).encode() + b"+ADwAIQ-DOCTYPE a+AD4-<a/>")


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"{}", b"MSH|", b"<", b"<1>", b" <?xml version='1.0'?><a/>", b"<!-- <a/>",
     b"<?xml version='2.0'?><a/>", b"<?xml bad?><a/>", b"\xff\xfe\x00\x00<\x00\x00\x00"],
)  # fmt: skip
def test_what_is_no_xml_is_said_without_quoting_it(content):
    """Typed, at once."""
    with pytest.raises(ContentInvalid, match=r"not XML|UTF-32"):
        xmltext.read(content)


def test_bytes_that_the_encoding_does_not_have_are_refused():
    """A declared ASCII with a byte above it, an odd half of UTF-16."""
    for content in (DECLARED.format("US-ASCII").encode() + b"<a>\xe9</a>", b"\xff\xfe<\x00a"):
        with pytest.raises(ContentInvalid, match="bytes that are not"):
            xmltext.read(content)
