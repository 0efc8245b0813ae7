"""What whoever publishes lists works with: the province, and the departments."""
