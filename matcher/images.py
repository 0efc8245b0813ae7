"""Images as they are kept: decoded within bounds, drawn anew as JPEG, and nothing else of the file that came.

What a device sends is a foreign file: it may be no image, claim hundreds of megapixels in a few kilobytes, carry a
script, or say where a family lives (EXIF GPS). Only the pixels pass; every image kept was written here.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field

from PIL import Image, ImageOps, UnidentifiedImageError

from psi.errors import InputError

MAX_BYTES = 15 << 20  # of the file that comes
MAX_PIXELS = 50_000_000  # the sharpest telephone in use; 150 MB when decoded
LONGEST_SIDE = 2_560  # of the image that is kept
_FORMATS = ("JPEG", "PNG")
_QUALITY = 85
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I"})


class ImageRefused(InputError):
    """A file cannot be kept as an image; ``reason``: empty, too_large, not_an_image, too_many_pixels or damaged."""

    code = "image_refused"


@dataclass(frozen=True)
class CleanImage:
    """An image made here. ``sha256`` is of ``jpeg``; sides in pixels."""

    jpeg: bytes = field(repr=False)
    sha256: str
    width: int
    height: int


def clean_image(content: bytes) -> CleanImage:
    """Decode a JPEG or PNG and draw it anew, upright, at most LONGEST_SIDE wide or high. Raises ImageRefused."""
    if not content:
        raise ImageRefused("the file is empty", reason="empty")
    if len(content) > MAX_BYTES:
        raise ImageRefused("the file is too large", reason="too_large", limit=MAX_BYTES)
    drawn = _draw(content)
    stream = io.BytesIO()
    drawn.save(stream, "JPEG", quality=_QUALITY)
    jpeg = stream.getvalue()
    return CleanImage(jpeg, hashlib.sha256(jpeg).hexdigest(), *drawn.size)


def _draw(content: bytes) -> Image.Image:
    """The pixels on a new white sheet, which inherits no metadata. The header is read before anything is decoded."""
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as source:
            if source.width * source.height > MAX_PIXELS:
                raise ImageRefused("too many pixels", reason="too_many_pixels", limit=MAX_PIXELS)
            if source.mode not in _MODES:
                raise ImageRefused("an unusual kind of image", reason="not_an_image")
            source.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # a JPEG is decoded at a fraction of its size
            source.load()
            upright = ImageOps.exif_transpose(source)
            upright.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            sheet = Image.new("RGB", upright.size, "white")
            if upright.has_transparency_data:
                upright = upright.convert("RGBA")
                sheet.paste(upright, mask=upright)
            else:
                sheet.paste(upright.convert("RGB"))
            return sheet
    except UnidentifiedImageError:
        raise ImageRefused("neither JPEG nor PNG", reason="not_an_image") from None
    except Image.DecompressionBombError:
        raise ImageRefused("too many pixels", reason="too_many_pixels", limit=MAX_PIXELS) from None
    except (OSError, SyntaxError, ValueError, IndexError, KeyError, OverflowError, MemoryError, EOFError, TypeError):
        raise ImageRefused("the image is damaged", reason="damaged") from None  # Pillow's decoders raise many kinds
