"""How ingress and jobs reach the capabilities."""
