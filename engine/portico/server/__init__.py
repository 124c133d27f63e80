"""The composition root: the only place that builds the parts, starts and stops them."""
