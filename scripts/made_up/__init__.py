"""Counties, customers and case work that cannot exist."""
