"""Jobs: their table and the worker that runs them."""
