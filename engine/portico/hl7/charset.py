"""MSH-18: which codec reads a message's text, and which of its bytes are not delimiters.

Source: HL7 v2.5.1 chapter 2, section 2.15.9.18; table 0211 (with the names of v2.7 and
spellings met in the field).
"""

import re
from functools import lru_cache

from portico.errors import CharsetUnknown

_ISO_2022 = {
    "ISOIR14": "iso2022_jp_ext",
    "ISOIR87": "iso2022_jp",
    "ISOIR159": "iso2022_jp_1",
    "JAS2020": "iso2022_jp_1",
    "JISX0202": "iso2022_jp_ext",
    "ISO2022JP": "iso2022_jp",
}
_RICHER = ("iso2022_jp", "iso2022_jp_1", "iso2022_jp_ext")  # each reads all before it
_CODECS = {
    "": "ascii",
    "ASCII": "ascii",
    "USASCII": "ascii",
    "ISOIR6": "ascii",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "LATIN1": "iso8859-1",
    "ISOIR100": "iso8859-1",
    "WINDOWS1252": "cp1252",
    "CP1252": "cp1252",
    "WINDOWS1250": "cp1250",
    "CP1250": "cp1250",
    "WINDOWS1251": "cp1251",
    "CP1251": "cp1251",
    "GB180302000": "gb18030",
    "GB18030": "gb18030",
    "KSX1001": "euc_kr",
    "EUCKR": "euc_kr",
    "BIG5": "big5",
    **{
        f"{prefix}8859{part}": f"iso8859-{part}"
        for prefix in ("", "ISO")
        for part in (*range(1, 12), 13, 14, 15, 16)
    },
    **_ISO_2022,
}
_REFUSED = {
    "UNICODEUTF16": "its delimiters are not single bytes; send UNICODE UTF-8",
    "UTF16": "its delimiters are not single bytes; send UNICODE UTF-8",
    "UNICODEUTF32": "its delimiters are not single bytes; send UNICODE UTF-8",
    "UTF32": "its delimiters are not single bytes; send UNICODE UTF-8",
    "CNS116431992": "no codec for it is at hand; send BIG-5 or UNICODE UTF-8",
}
# What MSH-18 says of a codec; a set that table 0211 does not have stays as it was typed.
SPELLED = {
    "ascii": "ASCII",
    "utf-8": "UNICODE UTF-8",
    "gb18030": "GB 18030-2000",
    "euc_kr": "KS X 1001",
    "big5": "BIG-5",
    "iso2022_jp": "~ISO IR87",
    "iso2022_jp_1": "~ISO IR159",
    **{f"iso8859-{part}": f"8859/{part}" for part in (*range(1, 10), 15)},
}
_SPELLING = re.compile(r"[\s/_.-]+")

# Bytes inside a character of more than one byte, which may look like `|^~\&`. A run ends
# at a line end at the latest: neither encoding uses CR or LF inside a character.
_SWITCHED = re.compile(rb"(?<=\x1b)(?:\$[@AB]|\$\([@ABCD]|\(I)[^\x1b\r\n]*")
WIDE = {
    "gb18030": re.compile(
        rb"(?:[\x81-\xfe](?:[\x40-\x7e\x80-\xfe]|[\x30-\x39][\x81-\xfe][\x30-\x39]))+"
    ),
    "big5": re.compile(rb"(?:[\x81-\xfe][\x40-\x7e\xa1-\xfe])+"),
}


@lru_cache(maxsize=256)
def codec_of(names: tuple[str, ...], default: str = "ascii") -> str:
    """Python's codec for MSH-18, one name for each repetition; `default` when all are empty.

    `~ISO IR87` and the like read ISO 2022 switching; any other second set is refused.
    Raises CharsetUnknown, which says what would be right.
    """
    if not any(names):
        return _codec(default)
    first = _codec(names[0])
    for name in names[1:]:
        other = _codec(name)
        if other == first or other == "ascii":
            continue
        if other not in _RICHER or first not in ("ascii", *_RICHER):
            raise CharsetUnknown(
                f"switching between {names[0]} and {name} is not supported; "
                "send one set, such as UNICODE UTF-8",
                "MSH-18",
            )
        first = max(other, first, key=("ascii", *_RICHER).index)
    return first


def _codec(name: str) -> str:
    key = _SPELLING.sub("", name).upper()
    if codec := _CODECS.get(key):
        return codec
    why = _REFUSED.get(key, "it is not in table 0211")
    raise CharsetUnknown(f"character set {name[:40]!r}: {why}", "MSH-18")


def shield(content: bytes, codec: str) -> bytes:
    """The bytes with all that is inside wide characters made 0x80, at unchanged offsets.

    What separators are found in the result are separators in the content. The same object
    comes back when nothing had to be hidden. Linear.
    """
    if b"\x1b" in content:
        content = _SWITCHED.sub(_blank, content)
    if (wide := WIDE.get(codec)) and not content.isascii():
        content = wide.sub(_blank, content)
    return content


def _blank(match: re.Match[bytes]) -> bytes:
    return b"\x80" * len(match[0])
