"""Every unticked box of every note."""


def execute(notes):
    return [
        {"note": note["name"], "point": line.strip().removeprefix("- [ ]").strip()}
        for note in notes
        for line in note["text"].splitlines()
        if line.strip().startswith("- [ ]")
    ]
