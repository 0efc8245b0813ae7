"""Made-up photos and signatures: shapes and scribbles, so that no real person or house is in them."""

from __future__ import annotations

import io
from math import pi, sin
from random import Random

from PIL import Image, ImageDraw

_PHOTO = (640, 480)
_SIGNATURE = (400, 150)
_WALLS = ("#d9c9a3", "#c8d3da", "#e3d2cf", "#cfd8c0")
_ROOFS = ("#8a3b2a", "#4a5560", "#6b4b2a")


def draw_photo(source: Random) -> bytes:
    """A house under a sky, JPEG."""
    width, height = _PHOTO
    image = Image.new("RGB", _PHOTO, "#bcd6ea")
    pen = ImageDraw.Draw(image)
    ground = height - source.randrange(80, 160)
    pen.rectangle((0, ground, width, height), fill="#9aa88a")
    left, top = source.randrange(60, 200), ground - source.randrange(140, 220)
    right = left + source.randrange(240, 360)
    pen.rectangle((left, top, right, ground), fill=source.choice(_WALLS), outline="#555")
    pen.polygon(((left - 20, top), ((left + right) // 2, top - 90), (right + 20, top)), fill=source.choice(_ROOFS))
    for x in range(left + 30, right - 60, 90):
        pen.rectangle((x, top + 40, x + 45, top + 90), fill="#6f8fa8", outline="#333")
    for _ in range(400):  # grain, so that no two photos are alike
        pen.point((source.randrange(width), source.randrange(height)), fill=source.choice(("#888", "#ddd")))
    return _encode(image, "JPEG")


def draw_signature(source: Random) -> bytes:
    """A line of ink on white, PNG."""
    image = Image.new("L", _SIGNATURE, 255)
    waves = [(source.uniform(0.5, 3.5), source.uniform(5, 28), source.uniform(0, 2 * pi)) for _ in range(3)]
    points = [
        (x, 75 + sum(height * sin(2 * pi * often * x / 300 + shift) for often, height, shift in waves))
        for x in range(40, 360, 3)
    ]
    ImageDraw.Draw(image).line(points, fill=0, width=3)
    return _encode(image, "PNG")


def _encode(image: Image.Image, name: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name)
    return stream.getvalue()
