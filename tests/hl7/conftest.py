"""Synthetic messages that the tests of this room share."""

import pytest

ADT = b"\r".join(
    (
        b"MSH|^~\\&|HIS|HOSP|PORTICO|LAB|20250304101112+0100||ADT^A01^ADT_A01|MSG00001|P|2.5.1",
        b"EVN|A01|20250304101112",
        b"PID|1||900001^^^HOSP^MR~123^^^ST^SS||MUSTER^ERIKA^M||19700101|F|||1 MAIN ST^^TOWN",
        b'PV1|1|I|W1^101^A||""||||||SUR',
        b"OBX|1|NM|8302-2^HEIGHT^LN||170|cm|||||F",
        b"OBX|2|ED|PDF^REPORT^L||^APPLICATION^PDF^Base64^QUJD||||||F",
        b"OBX|3|TX|GDT^NOTE^L||one~two||||||F",
        b"ZPI|1|extra^stuff|more||",
        b"",
    )
)


@pytest.fixture
def adt():
    """A message with repetitions, a delete, several OBX, a Z segment, trailing separators."""
    return ADT
