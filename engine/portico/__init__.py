"""Portico: a healthcare interface engine, delivered as an appliance."""

__version__ = "0.1.0"
