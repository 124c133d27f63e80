"""Step verbs by their YAML name; loaded only when an agent uses them."""

STEPS: dict[str, str] = {
    "emit": "portico.steps.emit:EMIT",
    "filter": "portico.steps.filter:FILTER",
    "llm": "portico.steps.llm:LLM",
    "lookup": "portico.steps.lookup:LOOKUP",
    "map": "portico.steps.map:MAP",
    "plugin": "portico.steps.plugin:PLUGIN",
    "python": "portico.steps.python:PYTHON",
    "route": "portico.steps.route:ROUTE",
    "send": "portico.steps.send:SEND",
    "split": "portico.steps.split:SPLIT",
    "validate": "portico.steps.validate:VALIDATE",
}

# Known to the language, not built yet: `check` says so instead of "unknown verb".
PLANNED: tuple[str, ...] = ()

# What a case puts in a step's place. It is no verb: no site file can name it.
STAND_IN = "stand-in"
TWINS: dict[str, str] = {STAND_IN: "portico.steps.stand_in:STAND_IN"}
