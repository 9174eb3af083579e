"""How the ingress and the job worker reach the capabilities."""
