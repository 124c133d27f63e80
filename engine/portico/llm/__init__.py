"""Language models: providers behind one port, and what guards them.

May open connections to the providers that a site names; sees no Signal, journal or worker.
"""
