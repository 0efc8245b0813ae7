"""The work on a list's rows done by Apache Spark: read, checked and encoded by many machines with the same kernel.

What is done here lies in the home's staging folder just as a refresh on one machine would have left it, broken off
before it puts the slices together. The refresh that follows finds it done (docs/decisions/0022).
"""
