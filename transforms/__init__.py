"""The Python steps of this site: plain functions over a message (portico.authoring)."""
