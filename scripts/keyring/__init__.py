"""Identities, epochs, their rotation, and the persons who may decide."""
