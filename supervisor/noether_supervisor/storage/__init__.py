"""The database file: opening it, its tables, the one thread that writes to it, the state lock.

What the tables mean is `history`'s business; this package knows files, versions and SQLite.
"""
