"""The scanned image of a signed 身份承诺书: one for each commitment, sealed, never replaced."""

from __future__ import annotations

from typing import Any

from keys.database import reading
from matcher.attachments import Attachment, Attachments
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.images import clean_image
from matcher.loans.errors import CommitmentDiffers, CommitmentUnknown


def add_image(office: Office, actor: Actor, commitment_id: int, content: bytes) -> Attachment:
    """See Loans.add_image."""
    with reading(office.database):
        _require(office, actor, commitment_id, Permission.ENTER_LOANS)  # before a stranger's image is decoded
    image, attachments = clean_image(content), Attachments(office)
    with office.writing() as database:
        found = _require(office, actor, commitment_id, Permission.ENTER_LOANS)
        if found["attachment_id"] is not None and attachments.get(found["attachment_id"]).sha256 != image.sha256:
            raise CommitmentDiffers("it has another image", commitment_no=found["commitment_no"])
        kept = attachments.add_within(actor, f"commitment/{commitment_id}", "commitment", image)
        sql = "UPDATE commitment SET attachment_id = ? WHERE commitment_id = ?"
        database.execute(sql, [kept.attachment_id, commitment_id])
    return kept


def read_image(office: Office, actor: Actor, commitment_id: int) -> bytes:
    """See Loans.read_image."""
    with office.writing():
        found = _require(office, actor, commitment_id, Permission.SEE_LOANS)
        if found["attachment_id"] is None:
            raise CommitmentUnknown("no image of it is kept", commitment_id=commitment_id)
        attachments = Attachments(office)
        content = attachments.read(attachments.get(found["attachment_id"]))
        subject = f"commitment/{commitment_id}"
        office.record_within(actor, "attachment.read", subject, attachment=found["attachment_id"])
    return content


def _require(office: Office, actor: Actor, commitment_id: int, permission: Permission) -> dict[str, Any]:
    actor.require(permission)
    found = list(
        office.database.query(
            "SELECT commitment.bank, commitment_no, attachment_id, division FROM commitment"
            " JOIN household USING (household_id) WHERE commitment_id = ?",
            [commitment_id],
        )
    )
    if not found:
        raise CommitmentUnknown("no such commitment", commitment_id=commitment_id)
    actor.require(permission, division=found[0]["division"], bank=found[0]["bank"])
    return found[0]
