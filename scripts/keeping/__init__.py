"""Keeping a home, whichever party's: backups, key shares, and the doctor."""
