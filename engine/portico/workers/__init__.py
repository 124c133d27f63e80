"""Processes that run agents: pool and protocol on the engine's side, child on the other."""
