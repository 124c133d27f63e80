"""The options that many commands have."""

from typer import Option

SITE = Option(help="The site's folder.", exists=True, file_okay=False)
JSON = Option("--json", help="Print JSON.")
PHI = Option("--phi", help="Show patient data.")
