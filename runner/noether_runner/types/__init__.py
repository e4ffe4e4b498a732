"""The type language: what values a stage takes and gives, and whether stages fit together.

`terms.py` is the language, `shorthand.py` its short spelling, `render.py` its display text;
`values.py` says whether a value fits a type, `subtype.py` whether a type fits a type, and
`check.py` whether a whole graph fits together. The rules are those of `spec/types.md`.
"""
