"""Reviews: from 待审核 to 最终名单, and off it again, by decisions of two persons (docs/reference/reviews.md)."""

from matcher.reviews.service import Reviews

__all__ = ["Reviews"]
