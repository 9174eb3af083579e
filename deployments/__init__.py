"""The serving graph: an ingress that speaks the documented routes, and one Ray Serve deployment per capability."""
