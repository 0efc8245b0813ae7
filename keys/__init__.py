"""Keys and what they vouch for: their life, their wrapping, signatures, and safe files.

This room holds every long-lived secret and is the only one that signs or verifies.

- ``epochs`` and ``keystore``: the OPRF key of each epoch (pending, active, expired, destroyed),
  this party's identity, the secrets of its own stores. ``vault`` keeps them wrapped in SQLite
  (``keystore_schema``), ``wrap`` holds the key-encryption key and is where an HSM fits.
- ``rotation``: the life of epochs as a plan; ``destruction``: the signed record of a destroyed key.
- ``identity``: Ed25519 identities and their fingerprints. ``envelope`` signs documents (DSSE),
  ``httpsig`` signs requests (RFC 9421), ``strictjson`` reads what strangers send.
- ``sealedfile``: whole files encrypted; ``files``: files that appear whole or not at all.
- ``database``: the one way to open SQLite; ``clock``: time as a parameter.

It imports psi and nothing above it; no HTTP and no words for users here.
"""
