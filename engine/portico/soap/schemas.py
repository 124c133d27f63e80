"""A WSDL's file as a tree, and its schemas as one that lxml compiles.

Schemas that stand in a WSDL import each other by namespace alone; libxml2 wants a place for
each, so they are handed to it under names of our own. Source: WSDL 1.1 section 2.2; XML Schema
1.0 part 1, sections 4.2.1 (include) and 4.2.3 (import).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from lxml import etree

from portico.errors import WsdlInvalid
from portico.soap.xml import Element

XSD = "http://www.w3.org/2001/XMLSchema"
WSDL = "http://schemas.xmlsoap.org/wsdl/"
_HERE = "portico-inline:"


class _Inline(etree.Resolver):  # type: ignore[misc]
    """Gives libxml2 the documents that stand in no file."""

    def __init__(self, texts: dict[str, bytes]) -> None:
        self._texts = texts

    def resolve(self, url: str, public: str, context: Any) -> Any:
        """lxml: a document is asked for; None lets it read the file."""
        text = self._texts.get(url)
        return None if text is None else self.resolve_string(text, context, base_url=url)


def tree(name: str, content: bytes) -> Element:
    """The root of a file, with nothing expanded and nothing fetched. Raises WsdlInvalid,
    LxmlError.
    """
    root = etree.fromstring(content, _parser())
    if root.getroottree().docinfo.doctype:
        raise WsdlInvalid(f"{name} declares a document type; take it out")
    return root


def whole(folder: Path, files: Mapping[str, bytes]) -> Any:
    """Checks elements against all schemas of a WSDL. files: it and all that it imports, by
    their names below the folder. Raises WsdlInvalid, LxmlError.
    """
    path = f"{{{WSDL}}}types/{{{XSD}}}schema"
    roots = [(folder / name, tree(name, content)) for name, content in files.items()]
    inline = [(where, one) for where, root in roots for one in root.findall(path)]
    spaces: dict[str, list[str]] = {}
    for number, (_, one) in enumerate(inline):
        spaces.setdefault(one.get("targetNamespace", ""), []).append(f"{_HERE}{number}")
    texts = {
        f"{_HERE}{number}": _placed(one, where, spaces)
        for number, (where, one) in enumerate(inline)
    }
    texts |= {_place(space): _joined(space, parts) for space, parts in spaces.items()}
    parser = _parser()
    parser.resolvers.add(_Inline(texts))
    imports = "".join(_import(space) for space in spaces)
    top = etree.fromstring(f'<schema xmlns="{XSD}">{imports}</schema>', parser)
    return etree.XMLSchema(top)


def _parser() -> Any:
    return etree.XMLParser(no_network=True, resolve_entities=False, load_dtd=False)


def _place(space: str) -> str:
    return f"{_HERE}of:{space}"


def _import(space: str) -> str:
    """An import; of what has no namespace, as the top has none either, an include."""
    one = etree.Element("import" if space else "include", schemaLocation=_place(space))
    if space:
        one.set("namespace", space)
    text: str = etree.tostring(one, encoding="unicode")
    return text


def _joined(space: str, parts: list[str]) -> bytes:
    """All inline schemas of one namespace."""
    root = etree.Element(f"{{{XSD}}}schema")
    if space:
        root.set("targetNamespace", space)
    for part in parts:
        etree.SubElement(root, f"{{{XSD}}}include", schemaLocation=part)
    text: bytes = etree.tostring(root)
    return text


def _placed(schema: Element, path: Path, spaces: dict[str, list[str]]) -> bytes:
    """An inline schema whose imports say where they lead: into the WSDL, or to a file."""
    own = etree.fromstring(etree.tostring(schema), _parser())
    for tag in ("import", "include"):
        for one in own.findall(f"{{{XSD}}}{tag}"):
            where, space = one.get("schemaLocation"), one.get("namespace", "")
            if where is not None:
                one.set("schemaLocation", urljoin(path.absolute().as_uri(), where))
            elif tag == "import" and space in spaces:
                one.set("schemaLocation", _place(space))
    text: bytes = etree.tostring(own)
    return text
