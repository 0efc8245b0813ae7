"""Made-up counties, provinces and bank customers: deterministic by seed, and no real person among them."""

from matcher.generate.county import CountySummary, generate_county
from matcher.generate.customers import CustomerSpec, generate_customers
from matcher.generate.households import CountySpec
from matcher.generate.places import COUNTIES

__all__ = ["COUNTIES", "CountySpec", "CountySummary", "CustomerSpec", "generate_county", "generate_customers"]
