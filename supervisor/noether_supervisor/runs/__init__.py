"""One runner process per run: start it, limit it, feed it, read it, name its ending.

Promises: every started run ends in exactly one `RunEnding`, whatever its runner does, and no
process of the run survives that ending.
"""
