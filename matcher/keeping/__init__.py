"""Keeping a party's home: backups of it, what a restored one owes, and what ails one."""
