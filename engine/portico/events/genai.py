"""What OpenTelemetry calls the fields of an exchange with a model: its semantic conventions for
generative AI, of version `VERSION`, which are still in development; so the names stand here
alone. Never content: neither prompts nor answers are attributes of ours.
"""

from collections.abc import Mapping

VERSION = "1.37.0"
CHAT = "chat"  # the operation of every exchange

NAMES: Mapping[str, str] = {
    "operation": "gen_ai.operation.name",
    "kind": "gen_ai.provider.name",
    "model": "gen_ai.request.model",
    "agent": "gen_ai.agent.name",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "code": "error.type",
}
