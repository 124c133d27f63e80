"""Plugins: servers of the Model Context Protocol in caged processes; workers' walls, no SQL."""
