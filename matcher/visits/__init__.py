"""Visits: who goes where, what they found, and the evidence of it. ``matcher.visits.service.Visits`` is the way in.

``matcher.visits.form`` stands for itself, because households are assessed by what their forms say.
"""
