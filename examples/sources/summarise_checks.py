"""One record out of many checks."""


def execute(checks):
    broken = [check["check"] for check in checks if not check["healthy"]]
    return {"healthy": not broken, "broken": broken, "checks": checks}
