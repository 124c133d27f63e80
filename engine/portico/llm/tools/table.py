"""Built-in capabilities by name."""

from collections.abc import Mapping

from portico.llm.tools import code_tables, hl7, journal_search, session_files
from portico.llm.tools.contract import Builtin

CAPABILITIES: Mapping[str, tuple[Builtin, ...]] = {
    "code_tables": code_tables.TOOLS,
    "hl7": hl7.TOOLS,
    "journal_search": journal_search.TOOLS,
    "session_files": session_files.TOOLS,
}
BUILTINS: Mapping[str, Builtin] = {
    one.call: one for tools in CAPABILITIES.values() for one in tools
}
