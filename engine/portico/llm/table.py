"""Provider types by their YAML name; loaded only when a call is made."""

import importlib

from portico.llm.contract import ProviderType

PROVIDERS: dict[str, str] = {
    "anthropic": "portico.llm.remote:ANTHROPIC",
    "openai": "portico.llm.remote:OPENAI",
    "sim": "portico.llm.sim:SIM",
}


def provider_type(name: str) -> ProviderType:
    """The type of that name; its libraries are loaded now, which takes seconds for some."""
    module, _, attribute = PROVIDERS[name].partition(":")
    found: ProviderType = getattr(importlib.import_module(module), attribute)
    return found
