"""How services are found out about."""
