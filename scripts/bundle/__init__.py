"""``python -m scripts.bundle FOLDER``: everything that an installation without a network needs, as one archive."""
