"""What ``mingce bench`` measures: a module for each group, through the same public functions that the product uses."""
