"""What an operator sees: one dataclass is one log line and its counters, never a body."""
