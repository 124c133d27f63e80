"""check/models.py: what leaves is decided before anything runs."""

import json

import pytest

from portico.check import site as sites
from portico.check.case import read_cases
from portico.check.cases import run_cases
from portico.clock import SystemClock

SCHEMA = json.dumps({"type": "object", "properties": {"code": {"enum": ["A", "B"]}}})
CHANNEL = "channel: adt\nsource: {type: mllp, listen: '127.0.0.1:0'}\n"
OPENAI = "type: openai, model: m, address: 'https://models.example/v1'"
FILES = {"transforms/p.md": "Code: {OBX[*]-5}", "transforms/s.json": SCHEMA}


@pytest.fixture
def said(site):
    """Codes of a site with this step, provider and channel; `whole`: all that was found."""

    def run(
        step="phi: deidentified",
        provider="phi: deidentified",
        channel="",
        agent="",
        whole=False,
        **files,
    ):
        site.write({**FILES, "config/portico.yaml": f"providers: {{m: {{{provider}}}}}\n"})
        site.write({name.replace("__", "/"): text for name, text in files.items()})
        document = (
            f"agent: a\ngoal: Nothing\non: {{channel: adt}}\n{agent}steps:\n  - llm:\n      "
            "{prompt: transforms/p.md, output: transforms/s.json, into: finding, "
            + step
            + "}\n"
        )
        codes = [code for code, _, _ in site.said(CHANNEL + channel, document)]
        return site.examine()[1] if whole else codes

    return run


def test_a_step_within_what_its_provider_may_have_is_fine(said):
    """Nothing to say."""
    assert said() == []


BAD = [
        ({"step": "phi: allowed"}, "site.phi"),
        ({"step": "phi: deidentified", "provider": "phi: none"}, "site.phi"),
        ({"step": "phi: none"}, "config.step"),
        ({"step": "model: other"}, "site.unknown_provider"),
        ({"step": "model: {m: }"}, "config.model"),
        ({"step": "phi: deidentified, budget: {tokens: 10}"}, "config.missing_key"),
        ({"step": "phi: deidentified, budget: {tokens: 10, per: 1}"}, "config.duration"),
        ({"step": "phi: deidentified, budget: {tokens: 0, per: 1d}"}, "config.value"),
        ({"step": "phi: deidentified, budget: {per: 1d}"}, "config.value"),
        ({"step": "phi: deidentified, budget: {cost: 5 EUR, per: 1d}"}, "config.money"),
        ({"step": "phi: deidentified, budget: {cost: 5, per: 1d}"}, "site.no_price"),
        ({"agent": "budget: {cost: 5, per: 1d}\n"}, "site.no_price"),
        ({"provider": "phi: deidentified, budget: {cost: 5, per: 1d}"}, "site.no_price"),
        ({"provider": "phi: deidentified, prices: {m: {input: 1}}"}, "config.missing_key"),
        ({"provider": "phi: deidentified, prices: {m: {input: -1, output: 1}}"},
         "config.money"),
        ({"step": "phi: allowed, detect: yes", "provider": "phi: allowed"}, "site.phi"),
        ({"provider": "phi: allowed, detect: yes"}, "config.provider"),
        ({"step": "phi: deidentified, detect: maybe"}, "config.switch"),
        ({"step": "phi: deidentified, timeout: 5"}, "config.duration"),
        ({"step": "phi: deidentified, review: {meanwhile: maybe}"}, "config.choice"),
        ({"step": "phi: deidentified, checks: {finding/code: {in_table: t}}"},
         "site.unknown_table"),
        ({"step": "phi: deidentified, capabilities: [x]"}, "site.unknown_capability"),
        ({"agent": "model: other\n"}, "site.unknown_provider"),
        ({"provider": "type: bard"}, "config.choice"),
        ({"provider": "phi: some"}, "config.choice"),
        ({"provider": "phi: deidentified, key: sk-123"}, "config.secret"),
        ({"provider": "phi: deidentified, rate: {calls: 5}"}, "config.missing_key"),
        ({"provider": "phi: deidentified, budget: {tokens: many, per: 1d}"}, "config.count"),
        ({"provider": "phi: deidentified, address: none.json"}, "config.provider"),
        ({"provider": f"{OPENAI}, phi: deidentified"}, "config.provider"),
        ({"provider": "type: openai, phi: deidentified, agreement: x"}, "config.provider"),
        ({"provider": "type: anthropic, model: m, phi: deidentified, agreement: x"},
         "config.provider"),
        ({"provider": "type: openai, model: m, address: 'ftp://a', phi: deidentified, "
                      "agreement: x"}, "config.provider"),
        ({"provider": "type: openai, model: m, address: 'http://a.example', phi: deidentified, "
                      "agreement: x"}, "config.provider"),
        ({"step": "phi: deidentified, retries: 11"}, "config.value"),
        ({"step": "phi: deidentified, retries: some"}, "config.count"),
        ({"step": "phi: deidentified, review: {when: {finding/code: {lt: }}}"},
         "config.condition"),
        ({"step": "phi: deidentified, prompt2: x"}, "config.unknown_key"),
        ({"provider": "phi: deidentified, token: x"}, "config.unknown_key"),
        ({"provider": "phi: deidentified, rate: {calls: 0, per: 1s}"}, "config.value"),
        ({"transforms__p.md": "{OBX-0}"}, "config.step"),
        ({"transforms__s.json": '{"type": "object", "properties": {"a": {"type": "txt"}}}'},
         "config.step"),
        ({"step": "phi: deidentified, model: {m: x, n: y}"}, "config.model"),
        ({"step": "phi: deidentified, timeout: soon"}, "config.duration"),
        ({"transforms__p.md": "x" * 300_000}, "config.step"),
        ({"channel": "content: {type: xml}\n"}, "site.phi"),
        ({"channel": "acknowledge: {when: processed}\n"}, "site.llm_in_ack"),
        ({"channel": "acknowledge: {when: processed, timeout: 90s}\n",
          "step": "phi: deidentified, review: always"}, "site.llm_in_ack"),
        ({"transforms__p.md": "{OBX}"}, "config.step"),
        ({"transforms__p.md": "{OBX-5"}, "config.step"),
        ({"transforms__p.md": "{now}"}, "config.step"),
        ({"transforms__s.json": "{"}, "config.step"),
        ({"transforms__s.json": '{"type": "array"}'}, "config.step"),
        ({"transforms__s.json": '{"type": "object", "$ref": "https://x/y"}'}, "config.step"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "code"), BAD)
def test_what_may_not_leave_or_cannot_work_is_found(said, more, code):
    """At check, so at no run."""
    assert code in said(**more)


def test_each_of_fifty_bad_configurations_is_refused_in_its_own_words(said):
    """With a file, a line and what is wrong; nobody has to guess which of them it is."""
    texts = []
    for more, code in BAD:
        found = [one for one in said(**more, whole=True) if one.code == code]
        assert all(one.path and one.line and one.text for one in found), more
        texts.append((code, found[0].key, found[0].text, found[0].hint))

    assert len(set(texts)) >= 50


@pytest.mark.parametrize(
    "provider",
    [
        f"{OPENAI}, phi: deidentified, agreement: 'DPA 7'",
        "type: openai, model: m, address: 'http://127.0.0.1:11434/v1', phi: allowed",
    ],
)
def test_a_remote_provider_under_agreement_and_a_local_one_are_fine(said, provider):
    """A model on this machine needs no contract."""
    assert said(provider=provider) == []


def test_a_budget_in_money_goes_with_a_price(said):
    """Of the model that is asked: the provider's, or the step's own."""
    priced = "phi: deidentified, model: m1, prices: {m1: {input: 2.50, output: 10}}"

    assert said(step="phi: deidentified, budget: {cost: 5, per: 1d}", provider=priced) == []
    other = "phi: deidentified, model: {m: m2}, budget: {cost: 5, per: 1d}"
    assert said(step=other, provider=priced) == ["site.no_price"]


def test_a_written_time_limit_lets_a_model_stand_before_the_ack(said):
    """The channel says so by saying how long."""
    assert said(channel="acknowledge: {when: processed, timeout: 90s}\n") == []


def test_codes_alone_may_leave_for_a_provider_without_leave(said):
    """`phi: none` places what no patient can be told by."""
    files = {"transforms__p.md": "{MSH-9.1} {OBR-4.1} {OBX[*]-3.1} {channel} {type}"}

    assert said(step="phi: none", provider="phi: none", **files) == []


@pytest.mark.parametrize(
    "place",
    ["PID-3.1", "PID-5", "OBX-5", "NTE-3", "MSH-7", "ZPI-1", "received", "/x", "id",
     "OBX-3", "ORC-2.1", "PV1-19", "header/x", "peer", "PID-7", "IN1-36"],
)  # fmt: skip
def test_nothing_else_may_leave_for_it(said, place):
    """Whatever could tell a patient, and whatever nobody can tell about."""
    files = {"transforms__p.md": f"{{{place}}}"}

    assert "config.step" in said(step="phi: none", provider="phi: none", **files)


CASE = """\
case: an urgent one
channel: adt
given: {text: "MSH|^~\\\\&|H|S|||2026||ORU^R01|1|P|2.5\\rOBX|1|TX|N||ill\\r"}
%s
expect: {verdict: deliver, emits: {found: {/code: A}}}
"""


LOCAL = "type: openai, model: m, address: 'http://127.0.0.1:1/v1', phi: deidentified"
SIM = "phi: deidentified, address: script.json"


@pytest.mark.parametrize(
    ("provider", "standing", "said"),
    [
        (LOCAL, "steps: {llm_1: {gives: {code: A}}}", ""),
        (
            LOCAL,
            "steps: {}",
            "step llm_1 of a asks a model or a plugin, which a case never does",
        ),
        (SIM, "steps: {}", ""),
        (f"{SIM.replace('script', 'empty')}", "steps: {}", "no answer is recorded for "),
        (SIM, "steps: {llm_1: {gives: {code: B}}}", "wanted 'A', found 'B'"),
    ],
)
async def test_a_case_asks_a_simulated_model_and_no_other(site, provider, standing, said):
    """No case pays for a model, and none passes without having looked."""
    site.write({**FILES, "config/portico.yaml": f"providers: {{m: {{{provider}}}}}\n"})
    site.write({"empty.json": '{"way": "recorded"}'})
    site.write({"script.json": '{"way": "fixed", "answers": [{"code": "A"}]}'})
    site.write({"transforms/__init__.py": "", "channels/a.test.yaml": CASE % standing})
    agent = (
        "agent: a\ngoal: Nothing\non: {channel: adt}\nsteps:\n"
        "  - llm: {prompt: transforms/p.md, output: transforms/s.json,"
        " into: finding, phi: deidentified}\n"
        "  - emit: {signal: found, value: finding}\n"
    )
    site.write({"channels/a.yaml": f"{CHANNEL}---\n{agent}"})
    loaded = sites.load_site(site.root, {})
    cases, findings = read_cases(site.root)

    [result] = await run_cases(loaded, cases, SystemClock())

    assert findings == []
    assert said in "".join(result.differences)
    assert bool(result.differences) == bool(said)
