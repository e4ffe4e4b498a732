"""The predicate of the sprint tick."""


def execute(tick):
    return tick["worth_telling"]
