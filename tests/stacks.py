"""A world over real git whose crashes are stacks."""

from dataclasses import replace
from pathlib import Path

from checkouts import Bed
from git_world import GitWorld, start_git_world
from world import FakeReader

from pipeline.crash.signatures import VERSION
from pipeline.model import CrashReport, Frame, ReportKind, Signature
from pipeline.ports import ExitEvidence


class StackReader(FakeReader):
    """`Map::Update/Spell::Cast` is a stack in which each function stands at line 7 of its class's file."""

    in_headers: frozenset[str] = frozenset()  # functions of which nothing but lines of a header is left

    def read_name(self, name: str) -> Signature:
        functions = name.split("/")
        return Signature(f"access violation | {functions[0]}", " | ".join(("access violation", *functions)), VERSION)

    def read(self, evidence: ExitEvidence) -> CrashReport:
        name = str(evidence.output)
        frames = tuple(Frame(each, self.place(each), 7) for each in name.split("/"))
        signature = self.read_name(name)
        return CrashReport(ReportKind.WHEATY, "access violation", frames=frames, crashing_frame=0, signature=signature)

    def place(self, function: str) -> str:
        header = function in self.in_headers
        return "C:\\VC\\Tools\\MSVC\\memory" if header else f"C:\\TC\\src\\game\\{function.split(':')[0]}.cpp"


async def start(folder: Path, bed: Bed) -> GitWorld:
    world = await start_git_world(folder, bed)
    world.reader = StackReader()
    world.tools = replace(world.tools, reader=world.reader)
    world.restart()
    return world
