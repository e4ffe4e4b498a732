"""One stage call, from its program and argument to an outcome: the runner's way into a language."""

import os
from collections.abc import Iterator
from dataclasses import field, replace
from pathlib import Path

from noether_contract import messages
from noether_contract.json_values import JsonValue, compact_json
from noether_contract.lean_dataclass import dataclass
from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.languages import walled, withheld
from noether_runner.languages.environments.finder import Found, PythonEnvironments, check_way
from noether_runner.languages.language import CallSite, Language, Launch, StageProgram
from noether_runner.languages.masking import Mask
from noether_runner.languages.modules import missing_module_hint
from noether_runner.languages.requirements import Requirements, read_requirements, rejection_words
from noether_runner.languages.table import find_language
from noether_runner.languages.verdict import judge, takes_log_as_result
from noether_runner.sandbox.calls import ChildCall, ChildResult
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.sandbox.child import Children
from noether_runner.sandbox.isolation import Backend, Claims, Isolation
from noether_runner.sandbox.limits import StageLimits
from noether_runner.sandbox.private_directory import private_directory

MAX_TEXT_BYTES = 8 * 1024
"""Longest message and traceback of a failure, in UTF-8."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all stage calls of a run have in common; `work_dir` holds their private directories.

    `protected` are files and folders of the scheduler itself, closed to what stages declare.
    `folders_may_stay`: whoever asks removes `work_dir` in the end (`private_directory`).
    """

    limits: messages.Limits
    grants: messages.Grants
    work_dir: Path
    environments: PythonEnvironments
    isolation: Isolation = field(default_factory=Isolation)
    protected: tuple[str, ...] = ()
    folders_may_stay: bool = False


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """How one stage call ended: `output` counts when `error` is None.

    Texts are masked and cut; tails are None when the stage wrote nothing there.
    """

    language: str | None
    isolation: str | None
    output: JsonValue = None
    error: StageError | None = None
    stdout_tail: str | None = None
    stderr_tail: str | None = None
    log_truncated: bool = False
    cpu_ms: float | None = None
    peak_memory_bytes: int | None = None
    warnings: tuple[str, ...] = ()


def execute_stage(
    children: Children,
    program: StageProgram,
    argument: JsonValue,
    surroundings: Surroundings,
    cancellation: Cancellation,
) -> StageOutcome:
    """Run a stage's code on an argument, in a process of its own; never raises for the stage.

    A failure is an outcome with a StageError (`runtimes.md` §7.9). Raises RunnerError only when
    the runner itself cannot start processes any more.
    """
    outcome = StageOutcome(language=None, isolation=None)
    try:
        chosen = surroundings.isolation.choose(children, cancellation)
        language, warnings = find_language(program.language)
        outcome = replace(
            outcome,
            language=language.name,
            isolation=chosen.backend.name,
            warnings=(*chosen.warnings, *warnings),
        )
        call = _Call(program, language, surroundings, chosen.backend)
        outcome = replace(outcome, warnings=(*outcome.warnings, *call.rejections()))
        return call.run(children, argument, cancellation, outcome)
    except StageError as error:
        return replace(outcome, error=error)


class _Call:
    """One call whose language is known."""

    def __init__(
        self,
        program: StageProgram,
        language: Language,
        surroundings: Surroundings,
        backend: Backend,
    ) -> None:
        self._program = program
        self._language = language
        self._surroundings = surroundings
        self._backend = backend
        self._limits = _stage_limits(surroundings.limits)
        grants = surroundings.grants
        self._mask = Mask(
            grants.environment[name] for name in grants.secret_names if name in grants.environment
        )
        self._requirements = (
            read_requirements(program.code, allow_unpinned=surroundings.environments.allow_unpinned)
            if language.name == "python"
            else Requirements()
        )

    def rejections(self) -> Iterator[str]:
        """Warnings about what the stage asks for and does not get."""
        return map(rejection_words, self._requirements.rejected)

    def run(
        self,
        children: Children,
        argument: JsonValue,
        cancellation: Cancellation,
        outcome: StageOutcome,
    ) -> StageOutcome:
        """The finished outcome; raises StageError when nothing could be started."""
        environment = self._environment(cancellation)
        if environment is not None and environment.built_seconds is not None:
            told = (
                f"its environment was built first, in {environment.built_seconds:.1f}s; "
                "noether-scheduler check --prepare builds it ahead"
            )
            outcome = replace(outcome, warnings=(*outcome.warnings, told))
        code = self._program.code.encode("utf-8", "surrogatepass")
        files = {self._language.file_name: code}
        user = self._surroundings.isolation.user
        work_dir, may_stay = self._surroundings.work_dir, self._surroundings.folders_may_stay
        with private_directory(work_dir, files, user, may_stay=may_stay) as directory:
            python = None if environment is None else environment.python
            call = self._prepare(argument, directory, python)
            try:
                result = children.call(call, cancellation)
            except OSError as error:
                raise StageError(
                    ErrorClass.RUNTIME_UNAVAILABLE, f"no process could be started: {error}"
                ) from error
            discarded = self._backend.discarded(directory, result)
        outcome = self._with_facts(outcome, result, discarded)
        try:
            output = judge(result, self._language, self._limits, cancellation.reason)
        except StageError as error:
            return replace(outcome, error=self._told(error))
        if takes_log_as_result(result):
            told = "execute printed nothing; the output of the script's top level was taken instead"
            outcome = replace(outcome, warnings=(*outcome.warnings, told))
        return replace(outcome, output=output)

    def _environment(self, cancellation: Cancellation) -> Found | None:
        """The stage's own environment, if it asks for one; its time is not the stage's."""
        if not self._requirements.accepted:
            return None
        found = self._surroundings.environments.find(self._requirements.accepted, cancellation)
        check_way(found.python, self._surroundings.isolation.user)
        return found

    def _prepare(self, argument: JsonValue, directory: Path, python: str | None) -> ChildCall:
        token = os.urandom(8).hex()
        room = self._backend.room(directory, self._surroundings.grants.environment)
        site = CallSite(
            token=token,
            directory=room.directory,
            environment=room.environment,
            limits=self._limits,
            seconds=self._limits.wall_seconds,
            python=python,
        )
        launch: Launch = self._language.launch(self._program, compact_json(argument), site)
        call = ChildCall(
            token=token,
            directory=room.directory,
            environment=launch.environment or site.environment,
            limits=self._limits,
            payload=launch.payload,
            entry=launch.entry,
            argv=launch.argv,
            stdout_bytes=launch.stdout_bytes,
        )
        file = (self._language.file_name, self._program.code)
        claims = Claims(
            self._program.effects,
            self._surroundings.grants,
            self._surroundings.protected,
            (file,) if launch.reads_file else (),
        )
        return self._backend.enclose(call, claims)

    def _with_facts(
        self, outcome: StageOutcome, result: ChildResult, discarded: int
    ) -> StageOutcome:
        stdout = result.stdout.cut(self._limits.log_bytes)
        return replace(
            outcome,
            stdout_tail=self._mask.log(stdout) or None,
            stderr_tail=self._mask.log(result.stderr) or None,
            log_truncated=stdout.truncated or result.stderr.truncated,
            cpu_ms=result.cpu_ms,
            peak_memory_bytes=result.peak_memory_bytes,
            warnings=(*outcome.warnings, *self._warnings(result, discarded)),
        )

    def _warnings(self, result: ChildResult, discarded: int) -> list[str]:
        warnings = []
        if result.leftovers and result.error is None and result.ended_for in (None, "lingered"):
            warnings.append(
                f"leftover_killed: {result.leftovers} process(es) of the stage had to be killed "
                "after it had answered"
            )
        if discarded > 0:
            warnings.append(walled.lost_files(discarded))
        return warnings

    def _told(self, error: StageError) -> StageError:
        """The error as it may leave the runner: explained, masked, cut."""
        kind, message = error.error_class, error.message
        sentences = [message]
        if error.error_type == "ModuleNotFoundError":
            if self._requirements.rejected and kind is ErrorClass.LOAD_ERROR:
                kind = ErrorClass.DEPENDENCY_ERROR
            module = message.partition("named '")[2].partition("'")[0]
            hint = missing_module_hint(module, self._program.code, self._requirements)
            sentences += [hint] if hint else []
        grants = self._surroundings.grants
        names = withheld.named_in_source(
            self._language.name, self._program.code, grants.withheld_names
        )
        if names and kind not in (ErrorClass.CANCELLED, ErrorClass.RUNTIME_UNAVAILABLE):
            sentences.append(withheld.hint(names))
        if kind in (ErrorClass.RAISED, ErrorClass.LOAD_ERROR):
            sentences.append(walled.hint(self._backend.name, message))
        traceback = error.traceback
        return StageError(
            kind,
            _cut(self._mask.text(sentences[0]), " ".join(filter(None, sentences[1:]))),
            error_type=error.error_type,
            traceback=traceback and _tail(self._mask.text(traceback)),
            code=error.code,
        )


def _stage_limits(limits: messages.Limits) -> StageLimits:
    return StageLimits(
        wall_seconds=limits.stage_seconds,
        memory_bytes=limits.memory_bytes,
        cpu_seconds=limits.cpu_seconds,
        output_bytes=limits.output_bytes,
        log_bytes=limits.log_bytes,
        max_processes=limits.max_processes,
        linger_ms=limits.linger_ms,
        term_grace_ms=limits.term_grace_ms,
    )


def _cut(text: str, hints: str) -> str:
    """The text and the hints after it, at most `MAX_TEXT_BYTES`; the text gives way."""
    if hints:
        hints = f" {hints}" if text.endswith((".", "!", "?")) else f". {hints}"
    room = MAX_TEXT_BYTES - len(hints.encode("utf-8"))
    encoded = text.encode("utf-8")
    if len(encoded) <= room:
        return text + hints
    mark = f" [... {len(encoded)} bytes in all, cut]"
    kept = encoded[: max(0, room - len(mark))].decode("utf-8", "ignore")
    return kept + mark + hints


def _tail(text: str) -> str:
    """The end of a traceback, at most `MAX_TEXT_BYTES`: there stands what happened."""
    encoded = text.encode("utf-8")
    if len(encoded) <= MAX_TEXT_BYTES:
        return text
    mark = "[... cut]\n"
    return mark + encoded[len(mark) - MAX_TEXT_BYTES :].decode("utf-8", "ignore")
