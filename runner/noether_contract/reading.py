"""Reading messages that somebody else wrote: strictly, by the dataclasses of `messages.py`.

Unknown members are refused, types are checked, an event is told from another by its `kind`. What
does not fit raises `pydantic.ValidationError`. This is the supervisor's side, which must not trust
what a runner says, nor what another version of the program has stored; a runner, to which
pydantic would cost more than all the rest of its start, reads its one request by
`noether_runner.request_reading`.
"""

from typing import Annotated

from pydantic import Field, TypeAdapter

from noether_contract.messages import ErrorRecord, Event, RunReport, Trace

EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])
"""Any event line."""

REPORT = TypeAdapter(RunReport)
"""The last line of a run."""

TRACE = TypeAdapter(Trace)
"""A stored trace."""

ERROR_RECORD = TypeAdapter(ErrorRecord)
"""A stored error."""
