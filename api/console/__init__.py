"""The bureau's console: pages rendered on the server, for people (docs/reference/console.md).

One package, one app beside the JSON interface. A page is protected by where it stands: its first path segment is a
section of :mod:`api.console.sections`, and the gate knows who may open which before a route is looked for.
"""
