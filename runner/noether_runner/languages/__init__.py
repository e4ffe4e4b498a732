"""Languages in which stages are written: one file a language, one table (`table.py`).

Stays empty: the zygote imports this package on its way up and must start fast.
"""
