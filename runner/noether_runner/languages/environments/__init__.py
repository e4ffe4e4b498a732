"""Python environments with the packages that a stage's `# requires:` line asks for.

Rules: `runtimes.md` §2.4. An environment is a folder under a name made from its content
(`place.py`), built once (`build.py`) by whoever needs it first (`finder.py`) or ahead
(`needs.py`), and never changed afterwards. What nobody has used for long makes room for others
(`keeping.py`).
"""
