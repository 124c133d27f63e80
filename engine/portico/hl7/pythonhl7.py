"""python-hl7's parsed object of a message, for transforms whose authors know it.

This module alone imports the `hl7` distribution, and is itself imported only when a
transform asks: a parse costs 560 us and the import memory that no other message needs.
"""

import re

import hl7


def parsed(text: str) -> hl7.Message:
    """The hl7.Message of a message's text, with whatever line ends it has."""
    # Not splitlines: for it a line ends at U+0085 too, which ISO 8859-1 makes of an ellipsis.
    lines = re.split(r"[\r\n]+", text)
    return hl7.parse("\r".join(line for line in lines if line.strip()) + "\r")
