"""`python -m portico`: the command line."""

from portico.cli.main import app

if __name__ == "__main__":
    app(prog_name="portico")
