"""Builds a commit of our clone with cmake and archives what came of it.

A build is incremental in one folder of ours, gives way to the server, has a bounded log and a timeout, and ends as a
whole tree. Its result says what was observed: a compile that made nothing, or a program of another revision, failed.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.adapters import builder_configure, builder_machine, builder_products, builder_run, toolchain
from pipeline.adapters.archive import SQL, Archive, Product, digest, list_symbols
from pipeline.adapters.build_log import LOGS, MOST_BYTES, TooMuchOutput, find_log, new_log, read_lines
from pipeline.adapters.build_progress import Pace, ProgressReader
from pipeline.adapters.builder_configure import Plan, Wish
from pipeline.adapters.builder_products import ArtifactRule, NoProduct
from pipeline.adapters.builder_run import OnProgress, Order
from pipeline.adapters.children import TimedOut, end_marked, end_recorded
from pipeline.adapters.diagnostics import DISK_FULL, find_machine_fault, find_machine_words, parse_diagnostics
from pipeline.errors import DefiniteError, Obstructed, ToolMissing, TransientError, Unconfigured
from pipeline.keeper.protocol import Manifest
from pipeline.model import BuildResult
from pipeline.obstacles import CURE, find_obstacle
from pipeline.ports import OnStarted

_NO_SUCH_SOURCE = "Cannot find source file"  # cmake's words; they stand in no translation
# What cmake says of a Ninja or a make that was killed, and make of another make or a linker.
_TOOL_ENDED = re.compile(r"Generator: (build tool execution|execution of \S+) failed|\[.+\] (Killed|Terminated)$")
_ENDED_BY_OTHERS = "a program of the build was ended from outside, and no error was printed"
CONFIGURE_LOG = "configure.log"  # among the logs: of the last time that it failed


class _ProgramFailed(Exception):
    """The compile ended with an error: the message says how, the log says why. `killed` = by a signal of somebody."""

    def __init__(self, how: str, *, killed: bool = False) -> None:
        super().__init__(how)
        self.killed = killed


@dataclass(frozen=True, kw_only=True)
class CMakeBuilder:
    """ports.Builder on real compilers."""

    state_dir: Path
    server_dir: Path
    redact: Callable[[str], str]  # strikes what tools said, before it is cut
    program: str  # SERVER_COMMAND's first word: below SERVER_DIR, or absolute and in it
    build_dir: Path | None = None  # BUILD_DIR, below which we have a folder; None = one in the state folder
    build_like: Path | None = None  # a build folder that the operator has
    configure_args: Sequence[str] = ()
    target: str = "worldserver"
    config: str = "RelWithDebInfo"
    jobs: int | None = None  # None = by cores and free memory
    timeout: float = 1800.0  # seconds
    warm_timeout: float = 21600.0  # seconds
    artifacts: Sequence[ArtifactRule] = ()  # (glob in the build folder, folder below SERVER_DIR or None)
    build_env: Mapping[str, str] = field(default_factory=dict)
    withhold: Sequence[str] = ()  # variables of ours that no compiler may see
    min_free_disk: int = 0  # bytes
    most_output: int = MOST_BYTES  # bytes a build may print

    def build(
        self,
        source: Path,
        commit: str,
        *,
        on_started: OnStarted,
        on_progress: OnProgress,
        cancelled: threading.Event,
        warm: bool = False,
    ) -> BuildResult:
        """See ports.Builder. `diagnostics` are errors only: nobody should be sent after a warning."""
        kept = self._archive.verified(commit)
        if kept is not None:
            return BuildResult(commit, 0.0, find_log(self.state_dir, commit) or self._nominal_log(commit), kept)
        if lack := builder_machine.find_lack_of_disk((self._build_dir, self.state_dir), self.min_free_disk):
            raise Obstructed(lack)
        order = Order(
            state_dir=self.state_dir,
            build_dir=self._build_dir,
            source=source.resolve(),
            commit=commit,
            log=new_log(self.state_dir, commit),
            most_output=self.most_output,
            environment=builder_machine.make_environment(os.environ, self.withhold, self.build_env),
            began=time.monotonic(),
            limit=self.warm_timeout if warm else self.timeout,
            on_started=on_started,
            on_progress=on_progress,
            cancelled=cancelled,
            room=builder_machine.Room((self._build_dir, self.state_dir)),
        )
        return self._judge(order)

    def archive_found(self) -> Manifest:
        """Raises DefiniteError where SERVER_DIR has no such program."""
        executable = self._find_executable()
        build = f"found-{digest(executable)[:16]}"
        kept = self._archive.verified(build)
        if kept is not None:
            return kept
        paths = [executable, *list_symbols(executable)]
        server_dir = self.server_dir.resolve()
        return self._archive.add(
            build,
            [Product(path.relative_to(server_dir).as_posix(), path, executable=path == executable) for path in paths],
            None,
            None,
        )

    def manifest(self, build: str) -> Manifest | None:
        return self._archive.manifest(build)

    def prune(self, keep: int, protected: Iterable[str]) -> list[str]:
        return self._archive.prune(keep, protected)

    def end_strays(self, children: Iterable[tuple[int, float]]) -> None:
        """Only while no build of this life runs: at the start."""
        for pid, create_time in children:
            end_recorded(pid, create_time)
        end_marked(self.state_dir)
        self._archive.sweep()

    def _judge(self, order: Order) -> BuildResult:
        """What became of an order. Only what a program printed is looked through for errors."""
        try:
            manifest = self._make(order)
        except _ProgramFailed as fault:
            return self._explain(order, str(fault), killed=fault.killed)
        except TimedOut:
            reason = f"the build took longer than {order.limit:g} s and was ended (BUILD_TIMEOUT)"
        except OSError as fault:
            reason = f"a file of the build could not be written, read or removed: {fault}"
            if (words := find_obstacle(fault, "the state folder or BUILD_DIR")) is not None:
                raise Obstructed(f"the build waits: {words}") from fault
        except ToolMissing:
            raise
        except (NoProduct, TooMuchOutput, DefiniteError) as fault:
            reason = str(fault)
        else:
            return BuildResult(order.commit, order.elapsed, order.log, manifest)
        return BuildResult(order.commit, order.elapsed, order.log, reason=reason)

    def _explain(self, order: Order, reason: str, *, killed: bool) -> BuildResult:
        found = parse_diagnostics(read_lines(order.log), order.source, order.build_dir, self.redact)
        errors = tuple(each for each in found if each.severity != "warning")
        said = [each for each in errors if not _TOOL_ENDED.match(each.message)]
        fault = find_machine_fault(errors) if errors else find_machine_words(read_lines(order.log))
        if fault is None and order.room.ran_out:
            fault = DISK_FULL
        if fault == DISK_FULL:
            raise TransientError(f"{reason}: {fault}")  # before the next try it is looked whether there is room
        if fault is not None:
            return BuildResult(order.commit, order.elapsed, order.log, reason=f"{reason}: {fault}")
        if not said and (killed or errors):
            raise TransientError(f"{reason}: {_ENDED_BY_OTHERS}")
        if not errors and (words := builder_run.last_words(order.log, self.redact)):
            reason = f"{reason}: {words}"
        return BuildResult(order.commit, order.elapsed, order.log, None, errors, reason)

    def _make(self, order: Order) -> Manifest:
        plan = self._configure(order)
        self._compile(order, plan)
        target = builder_products.find_target(order.build_dir, self.target, plan.config)
        products = builder_products.choose_products(order.build_dir, target, self.artifacts, self._program)
        revision = builder_products.check_revision(products, order.commit)
        return self._archive.add(order.commit, products, revision, order.source / SQL)

    def _configure(self, order: Order) -> Plan:
        wish = Wish(self.state_dir, self.build_like, tuple(self.configure_args), self.config)
        plan = builder_configure.make_plan(wish, order.source, order.build_dir, order.environment)
        if builder_configure.is_due(order.build_dir, plan):
            builder_configure.prepare(order.build_dir, plan)
            status = builder_run.run(order, plan.argv, ProgressReader())
            if status != 0:
                raise self._judge_configuring(order, status)
            builder_configure.settle(order.build_dir, plan)
        return plan

    def _judge_configuring(self, order: Order, status: int) -> Unconfigured | _ProgramFailed:
        """A fix may touch nothing that cmake reads, but may remove or rename a file that cmake is told to compile.

        Anything else is tried for as long as it takes, so that one log is kept of it and not one for each try.
        """
        end = builder_run.describe_end(status)
        found = parse_diagnostics(read_lines(order.log), order.source, order.build_dir, self.redact)
        errors = [each for each in found if each.severity != "warning"]
        if status < 0 and not errors:
            return _ProgramFailed(f"cmake could not configure ({end})", killed=True)
        if any(each.message.startswith(_NO_SUCH_SOURCE) for each in errors):
            return _ProgramFailed(f"cmake could not configure ({end})")
        said = str(errors[0]) if errors else builder_run.last_words(order.log, self.redact)
        log = order.log.with_name(CONFIGURE_LOG)
        order.log.replace(log)
        return Unconfigured(
            f"cmake could not configure: {said} ({end}; all it said is in {log}). Cure: see that BUILD_CONFIGURE_ARGS, "
            "BUILD_LIKE and the compiler they name are right, and that what the source needs is installed"
        )

    def _compile(self, order: Order, plan: Plan) -> None:
        target = builder_products.find_target(order.build_dir, self.target, plan.config)
        jobs = self.jobs or builder_machine.count_jobs()
        argv = toolchain.Toolchain(plan.cmake).compile(order.build_dir, self.target, plan.config, jobs)
        argv += builder_configure.native_options(builder_configure.find_generator(order.build_dir), jobs)
        reader, began = ProgressReader(target.sources), time.monotonic()
        status = builder_run.run(order, argv, reader, builder_run.recall_pace(order.build_dir))
        if status != 0 and builder_run.was_configuring(order.log):
            raise self._judge_configuring(order, status)
        if status != 0:
            raise _ProgramFailed(f"the compile failed ({builder_run.describe_end(status)})", killed=status < 0)
        if reader.progress is not None:
            builder_run.learn_pace(order.build_dir, Pace(reader.progress.total, time.monotonic() - began))

    def _find_executable(self) -> Path:
        path = self.server_dir.resolve() / self._program
        found = next((each for each in (path, path.with_name(f"{path.name}.exe")) if each.is_file()), None)
        if found is None:
            raise DefiniteError(f"SERVER_COMMAND: there is no program {path}{CURE}give the one that SERVER_DIR holds")
        return found

    def _nominal_log(self, commit: str) -> Path:
        return self.state_dir / LOGS / f"build-{commit}-1.log"

    @property
    def _archive(self) -> Archive:
        return Archive(self.state_dir)

    @property
    def _build_dir(self) -> Path:
        return builder_configure.find_place(self.state_dir, self.build_dir)

    @property
    def _program(self) -> str:
        """Below SERVER_DIR, with forward slashes."""
        path = Path(self.program)
        if path.is_absolute():
            for root in (self.server_dir, self.server_dir.resolve()):
                if path.is_relative_to(root):
                    path = path.relative_to(root)
                    break
            else:
                raise DefiniteError(
                    f"SERVER_COMMAND: {path} does not lie in SERVER_DIR: only a program in it can be swapped"
                )
        return str(PurePosixPath(path.as_posix()))
