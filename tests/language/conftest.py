"""One synthetic message and its context, for everything that reads places."""

import pytest

from portico.language.content import open_content
from portico.language.context import Context
from portico.language.tables import parse

MESSAGE = (
    b"MSH|^~\\&|HIS|HOSP|LAB|L|20260131120000||ORU^R01^ORU_R01|77|P|2.5.1\r"
    b'PID|1||123^^^HOSP&1.2&ISO^MR~9^^^STATE^SS||MUSTER^MAX||19800131|M||""|A\\T\\B\r'
    b"PV1|1|I\r"
    b"OBR|1|P1|F1|CRP^C-reactive\r"
    b"OBX|1|NM|WBC||5.5|||||||F\r"
    b"OBX|2|ED|PDF||^^^^JVBERg==|||||||F\r"
    b"OBX|3|TX|NOTE||urgent finding here|||||||P\r"
    b"ZPI|x\r"
)
ENVELOPE = {
    "channel": "lab_in",
    "type": "ORU^R01",
    "file": "a.hl7",
    "peer": "10.1.2.3:4711",
    "user": "sender",
    "size": 512,
    "received": 1_790_000_000_123_456_789,
    "flags": ("replay", "changed"),
    "header": {"x-trace": "abc"},
    "query": {"Site": "north"},
    "id": bytes(range(16)),
    "part": 3,
}
ASIDE = {"finding": {"code": "X1", "confidence": 0.5, "urgent": True, "tags": ["a", "b"]}}


@pytest.fixture
def context():
    """A result message with everything that a place can name."""
    table = parse("codes", b"code,text\nX1,one\nF,two\n")
    return Context(open_content("hl7", MESSAGE), ENVELOPE, ASIDE, {"codes": table})


@pytest.fixture
def json_context():
    """A JSON order."""
    content = (
        b'{"order": {"id": 7, "price": 2.10, "paid": false, "note": "", "by": null},'
        b' "a/b": {"~": "tilde"}, "items": [{"n": "one"}, {"n": "two"}], "text": "hi"}'
    )
    return Context(open_content("json", content), {"channel": "orders"})
