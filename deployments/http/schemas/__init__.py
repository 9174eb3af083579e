"""What the routes take and give in JSON, and the bodies of their errors."""
