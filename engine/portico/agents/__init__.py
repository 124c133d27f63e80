"""From an agent's document to a plan, and a plan run over one Signal. Pure; runs in workers."""
