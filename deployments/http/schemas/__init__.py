"""What the routes take and give in JSON."""
