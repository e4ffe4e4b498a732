"""Where stages come from: a store file or a registry, over the standard library.

`store.py` says what a store is, `opening.py` opens the one that a run names. A new kind of store is
one file here, one reference in the contract and one line in `opening.py`.
"""
