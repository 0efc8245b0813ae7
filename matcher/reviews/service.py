"""The review as one thing: what a page, a command or a route works with."""

from __future__ import annotations

from matcher.bureau.office import Office
from matcher.reviews.confirmations import Confirmations
from matcher.reviews.decisions import Decisions
from matcher.reviews.deliberations import Deliberations
from matcher.reviews.exports import ReviewExports
from matcher.reviews.files import CaseFiles
from matcher.reviews.listings import Listings
from matcher.reviews.objections import Objections
from matcher.reviews.queue import Queue
from matcher.reviews.record_book import RecordBook
from matcher.reviews.refusals import Refusals


class Reviews:
    """From the queue to the final list, in the order of the work."""

    def __init__(self, office: Office) -> None:
        self.queue = Queue(office)
        self.files = CaseFiles(office)
        self.decisions = Decisions(office)
        self.refusals = Refusals(office)
        self.confirmations = Confirmations(office)
        self.deliberations = Deliberations(office)
        self.objections = Objections(office)
        self.listings = Listings(office)
        self.exports = ReviewExports(office)
        self.record_book = RecordBook(office)
