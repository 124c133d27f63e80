"""portico.events.genai: an exchange with a model in OpenTelemetry's words."""

import json

from portico.events import genai, render
from portico.events.asking import ModelAnswered, ModelUnanswered

WHO = (genai.CHAT, "default", "openai", "m1", "triage", "llm_1", "01a1")


def test_a_line_has_the_names_of_the_convention():
    """And our own for what it has none for; the counters keep ours."""
    event = ModelAnswered(*WHO, 120, 30, 0.0006, 1.5)
    said = json.loads(render.line(event, render.Mode.JSON, 0))

    assert said["event"] == "model_answered"
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.model"] == "m1"
    assert said["gen_ai.agent.name"] == "triage"
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (120, 30)
    assert (said["provider"], said["cost"]) == ("default", 0.0006)


def test_what_went_wrong_is_an_error_type():
    """In every rendering: a dot in a key stays."""
    event = ModelUnanswered(*WHO, "llm.timeout", 60.0)

    assert "error.type=llm.timeout" in render.line(event, render.Mode.PLAIN, 0)
    assert "gen_ai.request.model=m1" in render.line(event, render.Mode.JOURNALD, 0)
