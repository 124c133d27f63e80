"""The command line: arguments in, a table or JSON out, an exit code fit for scripts."""
