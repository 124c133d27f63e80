"""Who runs an agent: its workers, called like it, or those of an edition: `AGENT@VERSION`."""

_AT = "@"  # no agent's name holds it


def name(agent: str, version: str) -> str:
    """The crew of an edition."""
    return f"{agent}{_AT}{version}"


def parts(crew: str) -> tuple[str, str]:
    """(agent, version); the version is empty for the one in force."""
    agent, _, version = crew.partition(_AT)
    return agent, version
