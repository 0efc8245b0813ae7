"""Made-up counties, customers and departments' lists: deterministic by seed, and no real person among them."""

from matcher.generate.county import CountySummary, generate_county
from matcher.generate.customers import CustomerSpec, generate_customers
from matcher.generate.departments import DepartmentSummary, generate_department
from matcher.generate.households import CountySpec
from matcher.generate.places import COUNTIES

__all__ = [
    "COUNTIES",
    "CountySpec",
    "CountySummary",
    "CustomerSpec",
    "DepartmentSummary",
    "generate_county",
    "generate_customers",
    "generate_department",
]
