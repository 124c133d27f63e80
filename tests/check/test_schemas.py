"""check/schemas.py: what an editor knows of the site's files."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from portico.check import schemas

ROOT = Path(__file__).parents[2]
INTERFACES = sorted((Path(__file__).parent / "interfaces").glob("*.yaml"))
SITE = [path for path in (ROOT / "channels").glob("*.yaml") if ".test." not in path.name]


def documents(text):
    """As an editor reads them: scalars resolved by YAML 1.2."""
    return list(YAML(typ="safe", pure=True).load_all(text))


@pytest.fixture(scope="module")
def document():
    return Draft202012Validator(schemas.schema("document"))


@pytest.mark.parametrize("name", schemas.NAMES)
def test_a_schema_is_a_schema(name):
    """Draft 2020-12, with every reference leading somewhere."""
    schema = schemas.schema(name)

    Draft202012Validator.check_schema(schema)
    for reference in references(schema):
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


def references(schema):
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield from [value] if key == "$ref" else references(value)
    elif isinstance(schema, list):
        for each in schema:
            yield from references(each)


@pytest.mark.parametrize("path", [*INTERFACES, *SITE], ids=lambda path: path.stem)
def test_worked_interfaces_fit_the_schema(document, path):
    """An editor underlines nothing in the reference's examples, nor in our own site."""
    for each in documents(path.read_text()):
        assert [error.message for error in document.iter_errors(each)] == []


@pytest.mark.parametrize(
    "text",
    [
        "{channel: a}",
        "{channel: a, source: {type: mllp}}",
        "{channel: a, source: {type: mllq, listen: 'x:1'}}",
        "{channel: a, source: {type: mllp, listen: 'x:1', lissen: 1}}",
        "{channel: a, source: {type: mllp, listen: 'x:1'}, unmatched: ignore}",
        "{channel: A, source: {type: mllp, listen: 'x:1'}}",
        "{destination: a, type: mllp}",
        "{destination: a, type: folder, path: x, address: 'x:1'}",
        "{destination: a, type: log, retry: {firts: 1s}}",
        "{destination: a, type: log, answers: {AE: perhaps}}",
        "{agent: a, goal: g, on: {channel: x}}",
        "{agent: a, goal: g, on: {channel: x}, steps: []}",
        "{agent: a, goal: g, on: {channel: x}, steps: [{sned: x}]}",
        "{agent: a, goal: g, on: {channel: x}, steps: [{send: x, emit: {signal: y}}]}",
        "{agent: a, goal: g, on: {channel: x}, steps: [{send: x}], on_error: explode}",
        "{agent: a, goal: g, on: {channel: x}, steps: [{split: {at: OBR, steps: [{x: y}]}}]}",
        "{chanel: a}",
    ],
)
def test_what_check_refuses_is_underlined(document, text):
    """Misspelt keys, missing keys and wrong words show while they are typed."""
    (value,) = documents(text)

    assert not document.is_valid(value)


@pytest.mark.parametrize(
    "text",
    [
        "{channel: a, source: {type: mllp, listen: 'x:1', release: 2, connections: 5}}",
        "{channel: a, source: {type: mllp, listen: 'x:1'}, batch: no, charset: utf-8}",
        "{agent: a, goal: 12, on: {/x: 1}, steps: {send: x}}",
        "{agent: a, goal: g, on: [{type: A}], steps: [{when: {PV1-2: 1}, send: [x, y]}]}",
    ],
)
def test_what_an_editor_reads_as_a_number_may_stand_for_a_text(document, text):
    """`release: 2` is a number to an editor; short forms and lists of one are fine."""
    (value,) = documents(text)

    assert [error.message for error in document.iter_errors(value)] == []


def test_the_configuration_has_a_schema():
    """config/portico.yaml of the repository fits; a wrong key does not."""
    config = Draft202012Validator(schemas.schema("config"))
    (ours,) = documents((ROOT / "config/portico.yaml").read_text())

    assert [error.message for error in config.iter_errors(ours)] == []
    assert not config.is_valid({"metrics": {"lissen": "127.0.0.1:1"}})
