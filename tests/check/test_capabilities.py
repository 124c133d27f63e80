"""check/capabilities.py: what a model may use is decided, and frozen, before anything runs."""

import hashlib
import json

import pytest

from portico.check.case import examine_cases, read_cases
from portico.check.cases import run_cases
from portico.check.site import load_site
from portico.clock import SystemClock

TOOLS = {
    "tools": [
        {
            "name": "book",
            "description": "Books",
            "inputSchema": {"type": "object", "properties": {"ward": {"type": "string"}}},
        }
    ]
}
SCHEMA = '{"type": "object", "properties": {"code": {"enum": ["A"]}}}'
CHANNEL = "channel: adt\nsource: {type: mllp, listen: '127.0.0.1:0'}\n"
OWN = "beds: {tools: {beds.book: {approve: always, phi: none}}, text: transforms/w.md}"


@pytest.fixture
def made(site):
    """Writes a site whose one `llm` step has these capabilities; `files` replace its own."""

    def make(names="beds", own=OWN, phi="deidentified", channel="", agent="", more="", **files):
        program, tools = "print()", json.dumps(TOOLS)
        pins = {"transforms/b/b.py": program, "transforms/b/b.json": tools}
        registry = {
            "plugin": "beds",
            "version": "1",
            "language": "python",
            "run": "transforms/b/b.py",
            "tools": "transforms/b/b.json",
            "files": {n: hashlib.sha256(t.encode()).hexdigest() for n, t in pins.items()},
        }
        site.write(
            {
                **pins,
                "transforms/plugins.yaml": "".join(
                    f"{key}: {json.dumps(value)}\n" for key, value in registry.items()
                ),
                "transforms/p.md": "Code",
                "transforms/w.md": "Beds have wards.",
                "transforms/s.json": SCHEMA,
                "transforms/tables/wards.csv": "ward,name\nN,North\n",
                "config/portico.yaml": f"providers: {{m: {{phi: {phi}}}}}\n"
                f"capabilities:\n  {own}\n",
                **{name.replace("__", "/"): text for name, text in files.items()},
            }
        )
        said = f"phi: {phi}" + (f", capabilities: [{names}]" if names else "") + more
        document = (
            f"agent: a\ngoal: Nothing\non: {{channel: adt}}\n{agent}steps:\n  - llm: {{prompt: "
            f"transforms/p.md, output: transforms/s.json, into: finding, {said}}}\n"
        )
        return site.said(CHANNEL + channel, document)

    return make


def test_all_that_a_step_may_use_is_brought_together_and_frozen(site, made):
    """Words, tools with their schemas, tables and files, as they are now."""
    assert made("hl7, code_tables, beds") == []
    agent = load_site(site.root, {}).agents["a"]
    frozen = agent.granted["llm_1"]

    assert frozen.before == ("Beds have wards.",)
    assert [tool.name for tool in frozen.tools][-1] == "beds_book"
    assert frozen.tools[-1].schema["properties"] == {"ward": {"type": "string"}}
    assert (frozen.tools[-1].idempotent, frozen.tools[0].idempotent) == (False, True)
    assert frozen.tables == {"wards": "ward,name\nN,North\n"}


def test_an_editors_file_beside_the_tables_is_none(site, made):
    """What begins with a dot is no file of the site."""
    site.write({"transforms/tables/._wards.csv": b"\0\5\x16\7"})

    assert made("code_tables") == []
    assert list(load_site(site.root, {}).agents["a"].granted["llm_1"].tables) == ["wards"]


def test_a_changed_word_or_table_is_another_agent(site, made):
    """The version is over all that the model may use."""
    digests = set()
    for files in (
        {},
        {"transforms__w.md": "Beds have floors."},
        {"transforms__tables__wards.csv": "ward,name\nN,Nord\n"},
        {"own": OWN.replace("always", "never")},
    ):
        assert made("code_tables, beds", **files) == []
        digests.add(load_site(site.root, {}).agents["a"].plain()["granted"]["llm_1"]["digest"])

    assert len(digests) == 4


def test_a_step_has_its_agents_capabilities_unless_it_says_its_own(site, made):
    """Also none."""
    assert made("", agent="capabilities: [hl7]\n") == []
    assert load_site(site.root, {}).agents["a"].granted
    assert made("", agent="capabilities: [hl7]\n", more=", capabilities: []") == []
    assert not load_site(site.root, {}).agents["a"].granted


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"names": "hl"}, "site.unknown_capability"),
        ({"own": "beds: {tools: {bed.book: always}}"}, "site.unknown_plugin"),
        ({"own": "beds: {tools: {beds.boo: always}}"}, "site.unknown_tool"),
        ({"own": "beds: {tools: {beds.book: sometimes}}"}, "config.choice"),
        ({"own": "beds: {tools: {beds.book: always}}"}, "site.phi"),
        ({"own": "beds: {tools: {beds.book: {approve: always, phi: deidentified}}}",
          "phi": "none"}, "site.phi"),
        ({"own": "beds: {text: transforms/none.md}"}, "site.capability"),
        ({"own": "beds: {text: ../w.md}"}, "config.value"),
        ({"own": "beds: {position: beside}"}, "config.choice"),
        ({"own": "beds: {files: transforms}"}, "site.capability"),
        ({"own": "beds: {files: transforms/big}", "transforms__big": "x" * 70_000},
         "site.capability"),
        ({"own": "beds: {tables: none}", "names": "beds, code_tables"}, "site.unknown_table"),
        ({"names": "code_tables", "transforms__tables__wards.csv": "a,a\n"}, "site.capability"),
        ({"own": OWN.replace("always", "review"),
          "channel": "acknowledge: {when: processed, timeout: 90s}\n"}, "site.llm_in_ack"),
        ({"more": ", rounds: 51"}, "config.value"),
        ({"more": ", parallel: 0"}, "config.value"),
    ],
)  # fmt: skip
def test_what_cannot_hold_is_found(made, more, code):
    """At check, so at no run."""
    assert code in [said[0] for said in made(**more)]


CASE = """\
case: a bed is found
channel: adt
given: {text: "MSH|^~\\\\&|H|S|||2026||ORU^R01|1|P|2.5\\rPID|1\\r"}
%s
expect: {verdict: deliver}
"""
ROUNDS = [
    {"$call": [{"tool": "beds_book", "with": {"ward": "N"}}]},
    {"$call": [{"tool": "session_files_write", "with": {"name": "n", "text": "x"}}]},
    {"$call": [{"tool": "session_files_list"}, {"tool": "beds_erase"}]},
    {"bed": "no such bed 99017"},  # told so, it says another
    {"bed": "N70717"},
]


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        ("tools: {beds.book: {gives: {bed: N70717}}}", ""),
        ("tools: {beds.book: {gives: {bed: N70718}}}", "[llm.invalid]"),
        ("tools: {beds.book: {fails: permanent}}", "[llm.invalid]"),
        ("", "stand in for it: tools: {beds.book: {gives: ...}}"),
    ],
)
async def test_a_case_talks_with_a_scripted_model_that_uses_tools(site, made, standing, said):
    """The engine's own work; a plugin's gives what the case says, and what it gave grounds
    the answer. A wrong answer is told, and the talk goes on from there."""
    schema = {"type": "object", "properties": {"bed": {"type": "string"}}, "required": ["bed"]}
    files = {
        "script.json": json.dumps({"way": "fixed", "answers": [ROUNDS]}),
        "transforms/s.json": json.dumps(schema),
        "transforms/__init__.py": "",
        "channels/a.test.yaml": CASE % standing,
    }
    assert made("beds, session_files") == []
    site.write(files)
    config = site.root / "config/portico.yaml"
    config.write_text(config.read_text().replace("m: {", "m: {address: script.json, "))
    cases, findings = read_cases(site.root)

    [result] = await run_cases(load_site(site.root, {}), cases, SystemClock())

    assert findings == []
    assert said in "".join(result.differences)
    assert bool(result.differences) == bool(said)


def test_a_stand_in_for_a_tool_that_no_model_may_call_is_found(site, made):
    """It would never be used."""
    site.write({"channels/a.test.yaml": CASE % "tools: {beds.boo: {gives: x}}"})
    assert made() == []

    [found] = examine_cases(site.root, load_site(site.root, {}))

    assert (found.code, found.line, found.hint) == (
        "site.unknown_tool",
        4,
        "did you mean 'beds.book'?",
    )
