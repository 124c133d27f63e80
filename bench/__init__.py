"""The benchmarks: one command that measures the appliance as users run it.

`python -m bench` starts the real engine on sites of its own, loads it over loopback from
processes of their own, and compares it with the raw speed of the PostgreSQL that it runs.
Speaks to the engine as a peer does: sockets, the data folder, /proc. docs/performance.md says
what each figure means.
"""
