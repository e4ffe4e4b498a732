"""What a dry run's answer says of the sandbox, in sentences for `check` and the log."""

from noether_contract.json_values import JsonValue


def isolation_notes(described: JsonValue) -> tuple[str, ...]:
    """The backend with what its probe found, then what each stage gets; nothing without walls."""
    told = described.get("isolation") if isinstance(described, dict) else None
    if not isinstance(told, dict):
        return ()
    stages = told.get("stages")
    return (
        f"{told.get('backend')} ({told.get('detail')})",
        *(
            f'stage "{each.get("stage")}" gets: {each.get("gets")}'
            for each in (stages if isinstance(stages, list) else [])
            if isinstance(each, dict)
        ),
    )
