"""The ten worked interfaces of the SITE reference: what is built fits, what is not is named."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from portico.steps.table import PLANNED

HERE = Path(__file__).parent / "interfaces"

# Interface: destinations that it names and does not show, and steps that may not be built yet.
INTERFACES = {
    "01_adt_fanout": (["lab", "kitchen"], []),
    "02_oru_pdfs": (["his"], []),
    "03_vxu_registry": ([], []),
    "04_batch_by_sftp": (["his"], []),
    "05_orders_checked": ([], []),
    "06_json_over_https": (["his"], []),
    "07_nightly_census": ([], [(8, "steps[1].plugin")]),
    "08_enhanced_deferred": (["his"], []),
    "09_llm_triage": (["his"], [(11, "steps[1].llm")]),
    "10_merges_by_table": (["north", "south"], []),
}
LATER = {
    name: [(line, key) for line, key in steps if key.rpartition(".")[2] in PLANNED]
    for name, (_, steps) in INTERFACES.items()
}
HOURS = "hours: {business: {days: [mon, tue, wed, thu, fri], from: 07:00, to: 19:00}}\n"


@pytest.fixture
def hospital(site, papers):
    """A site with the tables, credentials, hours and certificates that the interfaces name."""
    shown = papers.issue("server")
    certificate = f"certificate: {shown['certificate']}, key: '{shown['key']}'"
    partners = f"{{{certificate}, trust: {papers.trust}, clients: required}}"
    site.write(
        {
            "config/portico.yaml": f"{HOURS}tls:\n  hospital: {{{certificate}}}\n"
            f"  partners: {partners}\nproviders: {{sim: {{phi: deidentified}}}}\n"
        }
    )
    secrets = {f"credentials/{name}": "secret" for name in ("iis", "reflab_key", "portal")}
    tables = {
        "transforms/tables/catalogue.csv": "code,lab_code\nGLU,L1\n",
        "transforms/patient.schema.json": '{"required": ["mrn"]}',
        "transforms/prompts/urgent.md": "Is it urgent? {OBX[*]-5}",
        "transforms/urgent.schema.json": '{"type": "object"}',
        "transforms/tables/urgent.csv": "code,text\nX1,bleeding\n",
        "transforms/tables/facilities.csv": "facility,region\nSTVITUS,north\n",
    }
    site.write({**secrets, **tables, **_bedboard()})
    site.environ = {"CREDENTIALS_DIRECTORY": str(site.root / "credentials")}
    return site


def _bedboard():
    """A plugin as interface 7 names it: nothing of it is run."""
    tool = {
        "name": "census",
        "inputSchema": {"type": "object", "properties": {"at": {"type": "string"}}},
        "outputSchema": {"type": "object", "properties": {"wards": {"type": "array"}}},
    }
    files = {"bedboard.py": "", "bedboard.tools.json": json.dumps({"tools": [tool]})}
    pins = {name: sha256(text.encode()).hexdigest() for name, text in files.items()}
    registry = (
        "plugin: bedboard\nversion: 1\nlanguage: python\nrun: bedboard.py\n"
        f"tools: bedboard.tools.json\nfiles: {json.dumps(pins)}\n"
    )
    return {**files, "transforms/plugins.yaml": registry}


@pytest.mark.parametrize("name", INTERFACES)
def test_a_worked_interface_gives_only_what_is_not_built_yet(hospital, name):
    """Whoever copies an interface from the reference meets nothing but `site.not_yet`."""
    others, _ = INTERFACES[name]
    shown = [f"{{destination: {o}, type: mllp, address: {o}.internal:2575}}\n" for o in others]

    said = hospital.said((HERE / f"{name}.yaml").read_text(), *shown)

    assert said == [("site.not_yet", line, key) for line, key in LATER[name]]


@pytest.mark.parametrize("name", [name for name in INTERFACES if not LATER[name]])
def test_an_interface_that_is_built_gives_a_site(hospital, name):
    """Nothing not yet built: the site can run, its steps in normal form."""
    others, _ = INTERFACES[name]
    shown = [f"{{destination: {o}, type: mllp, address: {o}.internal:2575}}\n" for o in others]
    hospital.said((HERE / f"{name}.yaml").read_text(), *shown)

    found, _ = hospital.examine()

    assert found is not None
    for agent in found.agents.values():
        assert [step["verb"] for step in agent.plain()["steps"]]
