"""XML Schemas (XSD 1.0): what an XML content breaks, by path; never by value.

A schema may include and import others by relative locations below the site's folder; nothing
is fetched. Imported where a schema is asked for.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from portico.errors import ContentInvalid
from portico.hl7.structure import Deviation
from portico.language import xmltext, xmlview

_XSD = "{http://www.w3.org/2001/XMLSchema}"
_PART = re.compile(r"/(?:([^/:\[]+):)?([^/:\[]+)(?:\[(\d+)\])?")
_DEPTH = 200
_FILES = 500
_MISSING, _TYPE, _VALUE = "101", "102", "103"  # HL7 table 0357
_WORDS = {
    "SCHEMAV_CVC_ENUMERATION_VALID": (_VALUE, "is not one of the values that the schema has"),
    "SCHEMAV_CVC_COMPLEX_TYPE_4": (_MISSING, "lacks an attribute that the schema requires"),
    "SCHEMAV_ELEMENT_CONTENT": (_MISSING, "is not an element, or lacks one, of the schema"),
    "SCHEMAV_CVC_ELT_1": (_TYPE, "is no root of the schema"),
}


class XmlRules:
    """A compiled schema. Raises ValueError, with what would be right, when it is none."""

    def __init__(self, file: Path, root: Path) -> None:
        self._names: set[str] = set()
        for tree in _files(file, root):
            self._names |= {one.get("name") for one in tree.iter() if one.get("name")}
        try:
            self._schema = etree.XMLSchema(file=str(file))
        except etree.XMLSchemaParseError as error:
            raise ValueError(" ".join(f"it is no XML Schema: {error}".split())[:300]) from None

    def broken(self, root: Any) -> list[Deviation]:
        """The first rule that the document breaks."""
        if self._schema.validate(root.getroottree()):
            return []
        error = self._schema.error_log[0]
        at = self._path(_element(root, error.path or ""))
        code, words = _WORDS.get(
            error.type_name, (_TYPE, "does not fit its type in the schema")
        )
        return [Deviation(f"{at} {words}", at, code)]

    def _path(self, element: Any) -> str:
        """By the names that the schema knows; any other is `*`."""
        parts = [self._part(one) for one in (element, *element.iterancestors())]
        return "".join(reversed(parts))

    def _part(self, element: Any) -> str:
        name = etree.QName(element).localname
        before = sum(1 for _ in element.itersiblings(element.tag, preceding=True))
        number = f"[{before + 1}]" if before else ""
        return f"/{name if name in self._names else '*'}{number}"


def _element(root: Any, path: str) -> Any:
    """What libxml2 calls `/o:order/*[2]/@id`, as near as it is there."""
    for prefix, name, number in _PART.findall(path.partition("/@")[0])[1:]:
        same = [
            child
            for child in root.iterchildren("*")
            if name == "*"
            or (child.prefix or "", etree.QName(child).localname) == (prefix, name)
        ]
        at = int(number or 1) - 1
        if at >= len(same):
            break
        root = same[at]
    return root


def files(file: Path, root: Path) -> list[Path]:
    """The schema's file and those that it includes. Raises ValueError."""
    found = [file]
    for at in found:
        for one in _schema(at).iter(
            *(_XSD + name for name in ("include", "import", "redefine"))
        ):
            location = one.get("schemaLocation")
            if location is None:
                continue
            if "://" in location or location.startswith("/"):
                raise ValueError(f"{location!r} is not beside the schema; put the file there")
            other = (at.parent / location).resolve()
            if not other.is_relative_to(root.resolve()):
                raise ValueError(f"{location!r} leads out of the site")
            if other not in found:
                found.append(other)
        if len(found) > _FILES:
            raise ValueError(f"the schema has more than {_FILES} files")
    return found


def _files(file: Path, root: Path) -> Iterator[Any]:
    return map(_schema, files(file, root))


def _schema(file: Path) -> Any:
    try:
        prolog = xmltext.read(file.read_bytes())
        tree = xmlview.parse(prolog.body, _DEPTH).getroot()
    except OSError as error:
        raise ValueError(f"{file.name}: {error.strerror}") from None
    except ContentInvalid as error:
        raise ValueError(f"{file.name}: {error}") from None
    if tree.tag != f"{_XSD}schema":
        raise ValueError(f"{file.name} is no XML Schema")
    return tree
