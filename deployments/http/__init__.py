"""The ingress: everything that speaks HTTP."""
