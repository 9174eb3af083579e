"""Principals: who calls, by which key or token, what they may do and how much of it, and what is theirs."""
