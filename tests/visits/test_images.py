"""Photos (D44): foreign files decoded within bounds, drawn anew, kept sealed under names of our own."""

from __future__ import annotations

import contextlib
import io
import zlib
from pathlib import Path

import pytest
from bureau_office import MANAGER
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from visiting import PLACE, plan_and_assign, png, png_of

from matcher.attachments import Attachments, AttachmentUnknown
from matcher.bureau.office import Office
from matcher.images import LONGEST_SIDE, MAX_BYTES, MAX_PIXELS, ImageRefused, clean_image
from matcher.sealing import SealedDataDamaged
from matcher.states import MoveInvalid
from matcher.visits.service import Visits
from psi.errors import InputError

GPS = (30.7214, 122.4512)
HOSTILE_NAMES = ["../../x", "/etc/passwd", "C:\\x", "a\0b", "长" * 300, "x.sealed"]


def jpeg(
    width: int = 64, height: int = 32, *, orientation: int | None = None, gps: bool = False, **save: object
) -> bytes:
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    if gps:
        exif.get_ifd(0x8825).update({1: "N", 2: (30.0, 43.0, 17.0), 3: "E", 4: (122.0, 27.0, 4.0)})
        exif[0x010F] = "演示相机 SERIAL-990000".encode().decode("latin-1")
    stream = io.BytesIO()
    image.save(stream, "JPEG", exif=exif, **save)
    return stream.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A one-bit PNG of so many pixels in a few kilobytes."""
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + (width + 7) // 8)
    data = b"".join(packer.compress(row * 64) for _ in range(height // 64)) + packer.flush()
    return png_of(width, height, 1, 0, data)


def reason_of(content: bytes) -> str:
    with pytest.raises(ImageRefused) as refused:
        clean_image(content)
    return str(refused.value.params["reason"])


def open_visit(office: Office, households: list[int]) -> int:
    (visit,) = plan_and_assign(office, households[:1])
    Visits(office).start(MANAGER, visit, PLACE)
    return visit


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_d44_bombs_are_refused_by_what_their_header_says() -> None:
    for width, height, most in ((20_000, 19_904, 60_000), (13_056, 13_056, 30_000)):  # 398 and 170 Mpx
        content = bomb(width, height)
        assert len(content) < most
        assert reason_of(content) == "too_many_pixels"
    assert MAX_PIXELS < 9_000 * 5_632
    assert reason_of(bomb(9_000, 5_632)) == "too_many_pixels"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\xff" * (MAX_BYTES + 1), "too_large"),
        (b"<html><script>alert(1)</script></html>", "not_an_image"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "not_an_image"),
        (b"\xff\xd8\xff\xe0<html>", "not_an_image"),
        (b"GIF89a\x01\0\x01\0\0\0\0;", "not_an_image"),
        (b"%PDF-1.7", "not_an_image"),
        (jpeg()[:300], "damaged"),
        (png()[:-30], "damaged"),
    ],
    ids=["empty", "large", "html", "svg", "jpeg-html", "gif", "pdf", "cut-jpeg", "cut-png"],
)
def test_d44_what_is_no_image_is_refused(content: bytes, reason: str) -> None:
    assert reason_of(content) in (reason, "damaged")


@given(place=st.integers(0, 400), byte=st.integers(0, 255), cut=st.integers(0, 400))
def test_d44_damaged_images_are_refused_or_redrawn(place: int, byte: int, cut: int) -> None:
    for content in (jpeg(16, 16), png()):
        damaged = bytearray(content[: len(content) - cut])
        if damaged:
            damaged[place % len(damaged)] = byte
        with contextlib.suppress(ImageRefused):
            clean_image(bytes(damaged))


def test_d44_no_metadata_survives() -> None:
    content = jpeg(gps=True, comment=b"990000198001010012", icc_profile=b"profile")
    assert Image.open(io.BytesIO(content)).getexif().get_ifd(0x8825)
    image = clean_image(content)
    kept = Image.open(io.BytesIO(image.jpeg))
    assert not kept.getexif()
    assert not {"exif", "comment", "icc_profile", "xmp"} & set(kept.info)
    for needle in (b"Exif", b"SERIAL", b"990000198001010012", b"profile"):
        assert needle not in image.jpeg
    text = png_of(2, 2, 8, 2, zlib.compress(b"\0" + bytes(6) + b"\0" + bytes(6)), (b"tEXt", b"Comment\0990000"))
    assert b"990000" not in clean_image(text).jpeg


def test_d44_a_file_that_is_image_and_page_at_once_keeps_its_pixels_only() -> None:
    image = clean_image(jpeg() + b"<script>alert(1)</script>")
    assert b"script" not in image.jpeg


def test_images_are_upright_small_and_opaque() -> None:
    turned = clean_image(jpeg(64, 32, orientation=6))
    assert (turned.width, turned.height) == (32, 64)
    large = clean_image(jpeg(6_000, 1_500))
    assert (large.width, large.height) == (LONGEST_SIDE, LONGEST_SIDE // 4)
    stream = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(stream, "PNG")
    clear = Image.open(io.BytesIO(clean_image(stream.getvalue()).jpeg))
    assert clear.getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16"])
def test_every_kind_of_png_is_drawn(mode: str) -> None:
    stream = io.BytesIO()
    Image.new(mode, (8, 8)).save(stream, "PNG")
    assert clean_image(stream.getvalue()).width == 8


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_d44_files_have_names_of_our_own(office: Office, households: list[int], name: str) -> None:
    visit = open_visit(office, households)
    with pytest.raises(InputError):
        Visits(office).add_image(MANAGER, visit, name, png())  # nothing of a sender's goes into a path
    kept = Visits(office).add_image(MANAGER, visit, "photo", png())
    files = [path for path in office.home.rglob("*") if path.is_file() and not path.name.startswith("bureau.sqlite")]
    assert [path.relative_to(office.home).as_posix() for path in files] == [f"attachments/{kept.file}"]
    assert len(kept.file) == len("0" * 32 + ".sealed")


def test_d44_stored_images_are_sealed_and_read_back(office: Office, households: list[int]) -> None:
    visit = open_visit(office, households)
    visits = Visits(office)
    kept = visits.add_image(MANAGER, visit, "photo", jpeg(gps=True))
    sealed = (office.home / "attachments" / kept.file).read_bytes()
    assert b"JFIF" not in sealed
    assert (office.home / "attachments" / kept.file).stat().st_mode & 0o777 == 0o600
    image = visits.read_image(MANAGER, visit, kept.attachment_id)
    assert Image.open(io.BytesIO(image)).size == (kept.width, kept.height) == (64, 32)
    with pytest.raises(AttachmentUnknown):
        visits.read_image(MANAGER, visit, 99)


def test_the_same_image_again_is_one(office: Office, households: list[int]) -> None:
    visit = open_visit(office, households)
    visits = Visits(office)
    assert visits.add_image(MANAGER, visit, "photo", png()) == visits.add_image(MANAGER, visit, "photo", png())
    assert len(list((office.home / "attachments").iterdir())) == 1


def test_a_visit_takes_images_while_it_is_open(office: Office, households: list[int]) -> None:
    (visit,) = plan_and_assign(office, households[:1])
    with pytest.raises(MoveInvalid):
        Visits(office).add_image(MANAGER, visit, "photo", png())
    assert not (office.home / "attachments").exists()


def test_a_killed_process_leaves_no_file_for_long(office: Office, households: list[int]) -> None:
    visit = open_visit(office, households)
    attachments = Attachments(office)
    kept = Visits(office).add_image(MANAGER, visit, "photo", png())
    with contextlib.suppress(KeyboardInterrupt), office.writing():
        attachments.add_within(MANAGER, f"visit/{visit}", "photo", clean_image(png(1)))
        raise KeyboardInterrupt  # before the commit
    (office.home / "attachments" / ".building-x.sealed").write_bytes(b"half")
    assert len(attachments.list_of(f"visit/{visit}")) == 1
    assert len(attachments.remove_orphans()) == 2
    assert [path.name for path in (office.home / "attachments").iterdir()] == [kept.file]
    assert attachments.remove_orphans() == []


def test_lost_moved_and_damaged_files_are_found(office: Office, households: list[int], tmp_path: Path) -> None:
    visit = open_visit(office, households)
    visits, attachments = Visits(office), Attachments(office)
    kept = [visits.add_image(MANAGER, visit, "photo", png(seed)) for seed in range(3)]
    assert attachments.list_damaged() == []
    folder = office.home / "attachments"
    (folder / kept[0].file).unlink()
    (folder / kept[1].file).write_bytes((folder / kept[2].file).read_bytes())
    assert attachments.list_damaged() == kept[:2]
    with pytest.raises(SealedDataDamaged):
        visits.read_image(MANAGER, visit, kept[0].attachment_id)
