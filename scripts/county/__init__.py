"""What the finance bureau works with: households, visits, reviews, loans, claims, figures."""
