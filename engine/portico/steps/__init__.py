"""The verbs of agents; they run only in worker processes. No reactor, no journal."""
