"""Contents that are not HL7, and character sets on the way out, in a running appliance."""

import json
import time

import pytest

SITE = """\
channel: orders
source: {type: folder, path: in/orders, every: 50ms, ready: rename}
content: {type: xml, namespaces: {o: "urn:orders"}}
order_by: /o:order/patient/@mrn
---
channel: staff
source: {type: folder, path: in/staff, every: 50ms, ready: rename}
content: {type: csv, separator: ";"}
order_by: /id
---
channel: census
source: {type: folder, path: in/census, every: 50ms, ready: rename}
content: json
---
channel: letters
source: {type: folder, path: in/letters, every: 50ms, ready: rename}
---
agent: order
goal: Orders of the ward go to the lab, item by item
on: {channel: orders, type: order, /o:order/@ward: W1}
steps:
  - validate: {schema: order.xsd}
    on_error: park
  - map: {set: {/o:order/note: "seen < {/o:order/patient/@mrn}"}}
  - split:
      at: /o:order/item
      steps: [{send: {to: out, file: "item-{/item/code}.xml"}}]
  - send: {to: out, file: order.xml}
---
agent: staff_to_json
goal: Everybody has a file
on: {channel: staff, /left: {exists: no}}
steps:
  - map: {new: json, set: {/id: "{/id}", /name: "{/name}"}}
  - send: {to: out, file: "{/id}.json"}
---
agent: wards
goal: A message for each ward
on: {channel: census, /open: true}
steps:
  - validate: {schema: census.json}
  - split:
      at: /wards
      steps: [{send: {to: out, file: "{/name}.ward.json"}}]
---
agent: letter
goal: Letters reach the old archive in its own character set
on: {channel: letters}
steps:
  - send: {to: [out, archive, wide], file: "{MSH-10}.hl7"}
---
{destination: out, type: folder, path: out}
---
{destination: archive, type: folder, path: archive, charset: 8859/1}
---
{destination: wide, type: folder, path: wide, charset: UNICODE UTF-16}
"""
XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:orders">
  <xs:element name="order"><xs:complexType>
    <xs:sequence><xs:any processContents="skip" maxOccurs="unbounded"/></xs:sequence>
    <xs:anyAttribute processContents="skip"/></xs:complexType></xs:element>
</xs:schema>
"""
ORDER = """<?xml version="1.0" encoding="ISO-8859-1"?>
<o:order xmlns:o="urn:orders" ward="{ward}"><patient mrn="7">Müller</patient><note/>\
<item><code>X1</code></item><item><code>X2</code></item></o:order>
"""
LETTER = "MSH|^~\\&|A|B|||2026||MDM^T02|{id}|P|2.5||||||UNICODE UTF-8\rPID|||7||{name}\r"


@pytest.fixture(scope="module")
def folder(memory_folder):
    """The site of a running appliance with four folders that it looks into."""
    from conformance.appliance import Appliance
    from conformance.conftest import running

    def made(place):
        appliance = Appliance(place, SITE, {})
        (appliance.site / "order.xsd").write_text(XSD)
        (appliance.site / "census.json").write_text('{"required": ["wards"]}')
        for name in ("orders", "staff", "census", "letters"):
            (appliance.site / "in" / name).mkdir(parents=True)
        return appliance

    with running(memory_folder, made) as appliance:
        yield appliance


def give(appliance, name, content):
    """Put a file into a channel's folder, whole."""
    part = appliance.site / "part"
    part.write_bytes(content)
    part.rename(appliance.site / "in" / name)


def taken(appliance, *names):
    """The contents of these files once all are there."""
    paths = [appliance.site / name for name in names]
    until = time.monotonic() + 20
    while not all(path.exists() for path in paths) and time.monotonic() < until:
        time.sleep(0.02)
    return [path.read_bytes() if path.exists() else None for path in paths]


def test_an_xml_order_is_checked_edited_and_split(folder):
    """By paths with namespaces, in its own encoding; another ward's goes nowhere."""
    give(folder, "orders/1.xml", ORDER.format(ward="W1").encode("latin-1"))
    one, whole = taken(folder, "out/item-X2.xml", "out/order.xml")
    assert one == b'<?xml version="1.0" encoding="ISO-8859-1"?>\n<item><code>X2</code></item>'
    expected = ORDER.format(ward="W1").replace("<note/>", "<note>seen &lt; 7</note>")
    assert whole == expected.encode("latin-1")


def test_each_row_of_a_csv_file_is_a_signal(folder):
    """One that does not fit `on:` is dropped, the others are files of their own."""
    give(folder, "staff/all.csv", 'id;name;left\r\n1;"Ö; A";\r\n2;B;2025\r\n3;C\r\n'.encode())
    first, third = taken(folder, "out/1.json", "out/3.json")
    assert json.loads(first) == {"id": "1", "name": "Ö; A"}
    assert json.loads(third) == {"id": "3", "name": "C"}
    assert not (folder.site / "out/2.json").exists()


def test_json_falls_apart_at_a_list(folder):
    """Checked by its schema first."""
    give(folder, "census/c.json", b'{"open": true, "wards": [{"name": "A"}, {"name": "B"}]}')
    assert taken(folder, "out/A.ward.json", "out/B.ward.json") == [
        b'{"name":"A"}', b'{"name":"B"}',
    ]  # fmt: skip


def test_c4_each_destination_gets_its_own_character_set(folder):
    """What one of them cannot carry parks the message, and none of them gets it."""
    text = LETTER.format(id="L1", name="Müller")
    give(folder, "letters/1.hl7", text.encode())
    plain, archive, wide = taken(folder, "out/L1.hl7", "archive/L1.hl7", "wide/L1.hl7")
    assert plain == text.encode()
    assert archive == text.replace("UNICODE UTF-8", "8859/1").encode("latin-1")
    assert wide.decode("utf-16") == text.replace("UTF-8", "UTF-16")
    give(folder, "letters/2.hl7", LETTER.format(id="L2", name="M\u0142").encode())
    give(folder, "letters/3.hl7", LETTER.format(id="L3", name="x").encode("utf-16"))
    assert taken(folder, "out/L3.hl7")[0] is not None
    assert not (folder.site / "out/L2.hl7").exists()
