"""Personal data: who is shown what, and how long it is kept (docs/reference/personal-data.md)."""
