"""The T+1 figures: what is counted, as of which day, and the records behind each number (docs/reference/figures.md)."""
