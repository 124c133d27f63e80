"""/v1 over the control socket and, later, the network: requests in, JSON out."""
