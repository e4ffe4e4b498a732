"""The first heading of every note, or its name when it has none."""


def execute(notes):
    found = []
    for note in notes:
        heading = next((line for line in note["text"].splitlines() if line.startswith("# ")), None)
        found.append(heading.removeprefix("# ").strip() if heading else note["name"])
    return found
