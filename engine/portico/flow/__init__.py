"""The life of a Signal, one file per act. No SQL, no sockets, no YAML."""
