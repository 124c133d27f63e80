"""A site whose agent asks a simulated model about every message, and files what it found."""

import json

SITE = """\
channel: adt
source: {{type: mllp, listen: 127.0.0.1:{port}}}
order_by: PID-3.1
---
agent: triage
goal: Each is looked at
on: {{channel: adt}}
steps:
  - llm:
      prompt: transforms/p.md
      output: transforms/s.json
      into: finding
      {step}
  - emit: {{signal: found, value: finding}}
---
agent: told
goal: What was found is kept
on: {{signal: found}}
steps: [{{send: {{to: out, file: "{{id}}.json"}}}}]
---
{{destination: out, type: folder, path: out}}
"""


def make(appliance, server, step, files, config, **settings):
    """An engine on this site, not started. step: further lines of the `llm` step. files: the
    prompt, the schema of the answer, the simulator's script. config: of the providers."""
    port = server.free_port()
    one = appliance(SITE.format(port=port, step=step), **settings)
    one.port, one.twins = port, server
    prompt, schema, script = files
    (one.site / "transforms/p.md").write_text(prompt)
    (one.site / "transforms/s.json").write_text(json.dumps(schema))
    (one.site / "script.json").write_text(json.dumps(script))
    (one.site / "config/portico.yaml").write_text(config)
    return one


def found(one):
    """What was filed, in the order of the names."""
    return [json.loads(path.read_text()) for path in sorted((one.site / "out").glob("*.json"))]


def send(one, message):
    """Its acknowledgement."""
    client = one.twins.Client(one.port)
    told = client.ask(message.encode())
    client.close()
    return told
