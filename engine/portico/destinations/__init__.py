"""Outbound adapters: a Delivery in, an Attempt out. They know no journal, nor each other."""
