"""What a stage is: its record, identity, effects, lifecycle, properties, signature and spec file.

Everything here is about one stage at a time and touches no file; where stages come from is the
business of `stores`.
"""
