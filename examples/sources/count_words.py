"""How much was written."""


def execute(notes):
    return {"notes": len(notes), "words": sum(len(note["text"].split()) for note in notes)}
