"""What a card shows, one state after another: whole texts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from edge_fakes import COMMIT, LINK, NAME, NOW, REVERT, THEN, URL, make_card, make_run
from harmless import HOSTILE, assert_harmless

from bot import limits
from bot.cards import Home, render_card, thread_name
from bot.payloads import Colour
from bot.redaction import cleaned
from pipeline.card_models import CardView, Death, DeploymentView, FixLink, Withdrawn
from pipeline.keeper.protocol import ServerState
from pipeline.model import (
    Analysis,
    Awaits,
    Change,
    CrashReport,
    Diagnostic,
    FixState,
    Hindrance,
    Progress,
    Question,
    ReportKind,
    RunKind,
    RunState,
    Verdict,
)
from pipeline.moments import write_moment
from pipeline.stages.branching import NOT_KNOWN

ANALYSIS = Analysis(summary="Members are destroyed in reverse order.", confidence="high")
CAUSE = "**Members are destroyed in reverse order.**"
FIX = FixLink(COMMIT, URL, "overnight-20241122")
CHANGES = (Change("src/server/game/EventDispatcher.cpp", 12, 1),)
LIVE = DeploymentView("d1", COMMIT, "verifying", 21.0, NOW, NOW + timedelta(seconds=100), "7d14957a32df0000")
PAGE = "https://discord.com/channels/1/2"
BACK = "Server back after **4 s**"
CRASH = "access violation at `EventDispatcher.cpp:132` · first time seen · it ran `7d14957a32df`"
BUSY: dict[str, Any] = {"players": 14, "player_limit": 5, "deploy_at_latest": NOW + timedelta(hours=6)}
UNDECLARED = Diagnostic("'_priorityManager' was not declared", "BotAI.cpp", 337)
PROPOSAL = (
    "The proposal is in the thread, and another answer is taken\n"
    "`/retry 9f3c21aa` asks anew, `/reject 9f3c21aa <reason>` closes it"
)


def run(state: RunState, **changes: Any) -> Any:
    return make_run(state, **({"analysis": ANALYSIS} | changes))


def card(state: RunState, *, of_run: dict[str, Any] | None = None, **changes: Any) -> CardView:
    return make_card(**({"run": run(state, **(of_run or {}))} | changes))


# What is shown of each state: the view, then title, colour, text, buttons.
CARDS: dict[str, tuple[CardView, str, Colour, str, list[str]]] = {
    "counted only": (
        make_card(),
        f"Crash in {NAME}",
        Colour.GREY,
        f"{BACK} · *counted, no run*\n{CRASH}",
        [],
    ),
    "counted again": (
        make_card(occurrences=4, before=2),
        f"Crash in {NAME} (×4)",
        Colour.GREY,
        f"{BACK} · *counted, no run*\n"
        "access violation at `EventDispatcher.cpp:132` · 4 times tonight · 2 times before · it ran `7d14957a32df`",
        [],
    ),
    "counted, of a build that was taken back since": (
        make_card(running_gone=True),
        f"Crash in {NAME}",
        Colour.GREY,
        f"{BACK} · *counted, no run*\n{CRASH}, taken back since",
        [],
    ),
    "down": (
        make_card(back_after=None, server=ServerState.BACKOFF, down_since=NOW),
        f"Crash in {NAME}",
        Colour.RED,
        f"**Server is down** since <t:{THEN}:R>, the next start waits · *counted, no run*\n{CRASH}",
        [],
    ),
    "keeper silent": (
        make_card(back_after=None, server=None),
        f"Crash in {NAME}",
        Colour.RED,
        f"**The keeper does not answer; whether the server runs is not known** · *counted, no run*\n{CRASH}",
        [],
    ),
    "held": (
        card(RunState.ANALYZING, back_after=None, server=ServerState.HELD, down_since=NOW),
        f"Server held: {NAME}",
        Colour.RED,
        f"**Nothing is running** since <t:{THEN}:R>: **the server is held until somebody decides**\n{CRASH}\n"
        "Its run is with the analyst",
        ["start:server"],
    ),
    "environment": (
        make_card(
            title="port 8085 is in use",
            report=CrashReport(
                ReportKind.UNKNOWN,
                "environment",
                environment=True,
                cure="end it, or change `WorldServerPort`",
                notes=("Process 4711 `worldserver` (not ours) holds it",),
            ),
            back_after=None,
            server=ServerState.BACKOFF,
        ),
        "Not a bug: port 8085 is in use",
        Colour.AMBER,
        "**Server is down**, the next start waits\nProcess 4711 `worldserver` (not ours) holds it\n"
        "**To mend:** end it, or change `WorldServerPort`\n*nobody is asked for a patch*",
        [],
    ),
    "restarted": (
        make_card(run=make_run(RunState.ANALYZING)),
        f"Crash in {NAME}",
        Colour.GREY,
        f"{BACK} · *asking the analyst*\n{CRASH}",
        [],
    ),
    "no analyst": (
        make_card(
            run=make_run(RunState.ANALYZING, reason="Nobody answers as analyst", request_id="9f3c21"), in_queue=True
        ),
        f"Crash in {NAME}",
        Colour.GREY,
        f"{BACK} · *since <t:{THEN - 60}:R>:* Nobody answers as analyst\n"
        f"What we know: {CRASH} · request `9f3c21` waits",
        [],
    ),
    "not asked about yet": (
        make_card(run=make_run(RunState.ANALYZING, reason="its deployment is being judged", request_id="9f3c21")),
        f"Crash in {NAME}",
        Colour.GREY,
        f"{BACK} · *since <t:{THEN - 60}:R>:* its deployment is being judged\nWhat we know: {CRASH}",
        [],
    ),
    "paused before it began": (
        make_card(run=make_run(RunState.ANALYZING), paused=True),
        f"Crash in {NAME}",
        Colour.GREY,
        f"{BACK} · *pipeline paused, goes on after* `/resume`\n{CRASH}",
        [],
    ),
    "not cured, asked again": (
        make_card(run=make_run(RunState.ANALYZING), not_cured=FIX, occurrences=2),
        f"Not cured: {NAME} (×2)",
        Colour.GREY,
        f"**It crashed again with [`a1b2c3d`]({URL}) in place:** that build stays, and a new try goes on from it\n"
        f"{BACK} · *asking the analyst*\n"
        "access violation at `EventDispatcher.cpp:132` · 2 times tonight · it ran `7d14957a32df`",
        [f"revert:{COMMIT}"],
    ),
    "build failed, given back": (
        card(
            RunState.ANALYZING,
            of_run={"returns": 1},
            diagnostics=(UNDECLARED, Diagnostic("one"), Diagnostic("two")),
        ),
        f"Fix does not compile: {NAME}",
        Colour.GREY,
        "`BotAI.cpp:337: error: '_priorityManager' was not declared` · +2 more, log in the thread\n"
        f"given back to the analyst, try 2 of 3\n{BACK}",
        [],
    ),
    "patch refused, given back": (
        card(RunState.ANALYZING, of_run={"returns": 2, "reason": "the file has changed since"}),
        f"Fix refused: {NAME}",
        Colour.GREY,
        f"the file has changed since\ngiven back to the analyst, try 3 of 3\n{BACK}",
        [],
    ),
    "proposed": (
        card(RunState.PROPOSED, of_run={"reason": "it touches `sql/`"}),
        f"Needs a look: {NAME}",
        Colour.AMBER,
        f"**A person is needed:** it touches `sql/`\n{CAUSE}\n{PROPOSAL}\n{BACK}",
        ["retry:9f3c21aa", "reject:9f3c21aa"],
    ),
    "ready, and nobody has looked at its patch": (
        card(RunState.READY),
        f"Fix proposed: {NAME}",
        Colour.GREY,
        f"{CAUSE}\nConfidence high · waiting for its turn\n{BACK}",
        [],
    ),
    "ready": (
        card(RunState.READY, changes=CHANGES),
        f"Fix proposed: {NAME}",
        Colour.GREY,
        f"{CAUSE}\nConfidence high · 1 file, +12 −1 · diff in the thread · waiting for its turn\n{BACK}",
        [],
    ),
    "approval of the patch": (
        card(RunState.AWAITING_APPROVAL, of_run={"question": Question.PATCH}, changes=CHANGES),
        f"Waits for approval: {NAME}",
        Colour.AMBER,
        f"**May this patch be applied?** The diff is in the thread\n{CAUSE}\nConfidence high · 1 file, +12 −1\n{BACK}",
        ["approve:9f3c21aa:patch-0", "reject:9f3c21aa"],
    ),
    "approval of a base that nobody knows": (
        card(RunState.AWAITING_APPROVAL, of_run={"question": Question.BASE, "reason": NOT_KNOWN}),
        f"Waits for approval: {NAME}",
        Colour.AMBER,
        "**May the night branch begin here?** At the head that the base branch has when it is approved: **whatever that"
        " has and the server has not goes live with the fix**\n"
        f"{CAUSE}\nConfidence high · {NOT_KNOWN}\n{BACK}",
        ["approve:9f3c21aa:base-0", "reject:9f3c21aa"],
    ),
    "approval of a base that is the head of now": (
        card(RunState.AWAITING_APPROVAL, of_run={"question": Question.BASE}, base=FIX),
        f"Waits for approval: {NAME}",
        Colour.AMBER,
        f"**May the night branch begin here?** At the head that the base branch has when it is approved (at this"
        f" writing [`a1b2c3d`]({URL})): **whatever that has and the server has not goes live with the fix**\n"
        f"{CAUSE}\nConfidence high\n{BACK}",
        ["approve:9f3c21aa:base-0", "reject:9f3c21aa"],
    ),
    "approval of the deployment": (
        card(RunState.AWAITING_APPROVAL, of_run={"question": Question.DEPLOY}, fix=FIX),
        f"Waits for approval: {NAME}",
        Colour.AMBER,
        f"**May this build go live?** · {LINK}\n{CAUSE}\nConfidence high\n{BACK}",
        ["approve:9f3c21aa:deploy-0", "reject:9f3c21aa"],
    ),
    "approval of the base": (
        card(RunState.AWAITING_APPROVAL, of_run={"question": Question.BASE, "base": "7d14957a32df0000+"}),
        f"Waits for approval: {NAME}",
        Colour.AMBER,
        f"**May the night branch begin here?** At `7d14957a32df+`\n{CAUSE}\nConfidence high\n{BACK}",
        ["approve:9f3c21aa:base-0", "reject:9f3c21aa"],
    ),
    "patching": (
        card(RunState.PATCHING, of_run={"branch": "overnight-20241122"}, changes=CHANGES),
        f"Applying fix: {NAME}",
        Colour.BLUE,
        f"1 file, +12 −1 · going onto `overnight-20241122`\n{CAUSE}",
        [],
    ),
    "building": (
        card(RunState.BUILDING, progress=Progress(212, 298), build_eta=180.0, fix=FIX),
        f"Building fix for {NAME}",
        Colour.BLUE,
        f"`▓▓▓▓▓▓▓░░░ 71 %` · 212 of 298 · about 3 min left\n{LINK}\n{CAUSE}",
        [],
    ),
    "building, not yet told how far": (
        card(RunState.BUILDING, fix=FIX),
        f"Building fix for {NAME}",
        Colour.BLUE,
        f"Compiling · {LINK}\n{CAUSE}",
        [],
    ),
    "publishing": (
        card(RunState.PUBLISHING, fix=FIX),
        f"Pushing fix: {NAME}",
        Colour.BLUE,
        f"Built · {LINK}\n{CAUSE}",
        [],
    ),
    "awaiting deployment": (
        card(
            RunState.AWAITING_DEPLOYMENT,
            of_run={"pushed": True},
            fix=FIX,
            **BUSY,
        ),
        "Fix built, waiting for a quiet moment",
        Colour.GREY,
        f"14 players online, limit 5 · deploys at <t:{THEN + 21600}:t> at the latest\n`{NAME}` · {LINK}",
        ["deploy:9f3c21aa", "reject:9f3c21aa"],
    ),
    "awaiting deployment, and somebody has looked whether it may go": (
        card(
            RunState.AWAITING_DEPLOYMENT,
            of_run={
                "reason": f"no restart in these hours, which end {write_moment(NOW)} (NO_RESTART_HOURS)",
                "pushed": True,
            },
            awaits=Awaits.QUIET,
            fix=FIX,
            **BUSY,
        ),
        "Fix built, waiting for a quiet moment",
        Colour.GREY,
        f"no restart in these hours, which end <t:{THEN}:R> (NO_RESTART_HOURS)\n`{NAME}` · {LINK}",
        ["deploy:9f3c21aa", "reject:9f3c21aa"],
    ),
    "a revert that waits for another deployment to end": (
        card(
            RunState.AWAITING_DEPLOYMENT,
            of_run={
                "kind": RunKind.REVERT,
                "asked_by": "Ann",
                "reason": f"waits for the verification of `Map::Update` to end, {write_moment(NOW)} if it stays up",
                "pushed": True,
            },
            awaits=Awaits.LANE,
            fix=FixLink(REVERT, None, "overnight-20241122"),
            undone=FixLink(COMMIT, URL, None),
            **BUSY,
        ),
        f"Revert built, next in line: {NAME}",
        Colour.GREY,
        f"waits for the verification of `Map::Update` to end, <t:{THEN}:R> if it stays up\n"
        f"`e4f5a6b` on `overnight-20241122`, takes back [`a1b2c3d`]({URL}) · asked for by Ann",
        ["reject:9f3c21aa"],
    ),
    "awaiting the next start of a server that a person stopped": (
        card(RunState.AWAITING_DEPLOYMENT, of_run={"pushed": True}, awaits=Awaits.START, fix=FIX, players=0),
        f"Fix built, on next start: {NAME}",
        Colour.GREY,
        f"The server is stopped: it goes live with the next start, `/start-server`\n{LINK}",
        ["reject:9f3c21aa"],
    ),
    "awaiting another try to put it in place": (
        card(
            RunState.AWAITING_DEPLOYMENT,
            of_run={"reason": f"the disk is full; tried again {write_moment(NOW)}", "pushed": True},
            awaits=Awaits.RETRY,
            fix=FIX,
        ),
        f"Fix built, tried again: {NAME}",
        Colour.GREY,
        f"the disk is full; tried again <t:{THEN}:R>\n{LINK}",
        ["deploy:9f3c21aa", "reject:9f3c21aa"],
    ),
    "awaiting a try that failed for half an hour": (
        card(
            RunState.AWAITING_DEPLOYMENT,
            of_run={
                "reason": f"the disk is full; tried again {write_moment(NOW)}",
                "pushed": True,
                "attempts": 6,
                "not_before": NOW,
            },
            awaits=Awaits.RETRY,
            fix=FIX,
        ),
        f"Fix built, tried again: {NAME}",
        Colour.AMBER,
        f"**A person is needed:** the disk is full; tried again <t:{THEN}:R>\n{LINK}",
        ["deploy:9f3c21aa", "reject:9f3c21aa"],
    ),
    "awaiting nothing but its turn": (
        card(
            RunState.AWAITING_DEPLOYMENT,
            of_run={"answered": ("now",), "pushed": True, "reason": "3 players online, more than 0"},
            awaits=Awaits.TURN,
            fix=FIX,
            players=3,
        ),
        f"Fix built, goes live next: {NAME}",
        Colour.GREY,
        f"Nothing stands in its way\n{LINK}",
        ["reject:9f3c21aa"],
    ),
    "awaiting deployment, with what nobody wants in its build, which is being reverted": (
        card(
            RunState.AWAITING_DEPLOYMENT,
            of_run={
                "reason": "its build still holds `Map::Update` (`c0ffee1`), which was taken back",
                "hindrance": Hindrance.REVERT_COMING,
                "pushed": True,
            },
            fix=FIX,
            **BUSY,
        ),
        f"Fix may not go live yet: {NAME}",
        Colour.GREY,
        f"**its build still holds `Map::Update` (`c0ffee1`), which was taken back**\n`{NAME}` · {LINK}",
        ["reject:9f3c21aa"],
    ),
    "awaiting deployment, and nothing of ours can change what hinders it": (
        card(
            RunState.AWAITING_DEPLOYMENT,
            of_run={
                "reason": "the server runs `c0ffee1`, which its build was not made on and would take out",
                "hindrance": Hindrance.BASE,
                "pushed": True,
            },
            fix=FIX,
        ),
        f"Fix may not go live yet: {NAME}",
        Colour.AMBER,
        f"**the server runs `c0ffee1`, which its build was not made on and would take out**\n`{NAME}` · {LINK}",
        ["reject:9f3c21aa"],
    ),
    "deploying": (
        card(RunState.DEPLOYING, fix=FIX, deployment=replace(LIVE, state="stopping")),
        f"Deploying fix: {NAME}",
        Colour.BLUE,
        f"The server is stopping · {LINK}\n{CAUSE}",
        [],
    ),
    "verifying": (
        card(RunState.VERIFYING, of_run={"commit": COMMIT}, fix=FIX, deployment=LIVE),
        f"Fix live, watching: {NAME}",
        Colour.GREEN,
        f"Server up, runs `a1b2c3d` · was down for 21 s · healthy <t:{THEN + 100}:R> if it stays up\n{LINK}\n{CAUSE}",
        [],
    ),
    "verifying, live in a later build": (
        card(
            RunState.VERIFYING,
            of_run={"commit": COMMIT},
            fix=FIX,
            deployment=replace(LIVE, commit=REVERT),
            build=REVERT,
        ),
        f"Fix live, watching: {NAME}",
        Colour.GREEN,
        f"Server up, runs `e4f5a6b` · was down for 21 s · healthy <t:{THEN + 100}:R> if it stays up\n"
        f"{LINK} · part of that build\n{CAUSE}",
        [],
    ),
    "verifying, another runs": (
        card(
            RunState.VERIFYING,
            of_run={"commit": COMMIT},
            fix=FIX,
            deployment=LIVE,
            build="7d14957a32df0000",
            server=ServerState.BACKOFF,
            down_since=NOW,
        ),
        f"Fix live, watching: {NAME}",
        Colour.GREEN,
        f"**Server is down** since <t:{THEN}:R>, the next start waits\n{LINK}\n{CAUSE}",
        [],
    ),
    "rolling back": (
        card(
            RunState.ROLLING_BACK,
            of_run={"reason": "New server died in `BotAI::~BotAI`", "verdict": Verdict.UNHEALTHY},
            deployment=LIVE,
        ),
        f"Rolling back: {NAME}",
        Colour.RED,
        "**Worse than before:** New server died in `BotAI::~BotAI`\ngoing back to the previous build `7d14957`",
        [],
    ),
    "done": (
        card(
            RunState.SUCCEEDED,
            of_run={"commit": COMMIT, "pushed": True, "fix_state": FixState.WATCHING},
            fix=FIX,
            deployment=LIVE,
            before=2,
        ),
        f"Fixed: {NAME}",
        Colour.GREEN,
        f"{LINK} · live since <t:{THEN}:R>\ncrashed 3 times before, 0 since\n{CAUSE}",
        [f"revert:{COMMIT}"],
    ),
    "done, verdict inconclusive, push owed": (
        card(
            RunState.SUCCEEDED,
            of_run={"commit": COMMIT, "verdict": Verdict.INCONCLUSIVE, "reason": "another crash came"},
            fix=FIX,
            deployment=LIVE,
        ),
        f"Fixed: {NAME}",
        Colour.GREEN,
        f"{LINK} · live since <t:{THEN}:R> · not on the remote yet\ncrashed 1 time, last <t:{THEN}:R>\n"
        f"*Verification was inconclusive:* another crash came\n{CAUSE}",
        [f"revert:{COMMIT}"],
    ),
    "recurred": (
        card(RunState.SUCCEEDED, of_run={"commit": COMMIT, "fix_state": FixState.RECURRED}, fix=FIX),
        f"Back after its fix: {NAME}",
        Colour.AMBER,
        f"**It crashed again with its fix in place**\n{LINK} · crashed 1 time, last <t:{THEN}:R>\n{CRASH}",
        [f"revert:{COMMIT}"],
    ),
    "reverted": (
        card(
            RunState.SUCCEEDED,
            of_run={"commit": COMMIT, "fix_state": FixState.REVERTED},
            fix=FIX,
            revert=FixLink(REVERT, None, None),
        ),
        f"Reverted: {NAME}",
        Colour.GREY,
        f"{LINK} · taken back in `e4f5a6b`\n{CAUSE}",
        [],
    ),
    "a revert that went through": (
        make_card(
            run=make_run(RunState.SUCCEEDED, kind=RunKind.REVERT, asked_by="Ann", commit=REVERT),
            fix=FixLink(REVERT, None, None),
            deployment=LIVE,
        ),
        f"Reverted: {NAME}",
        Colour.GREEN,
        f"`e4f5a6b` · live since <t:{THEN}:R>\nasked for by Ann",
        [],
    ),
    "rolled back, and paused by somebody later": (
        card(
            RunState.ROLLED_BACK,
            of_run={"reason": "It died.", "verdict": Verdict.UNHEALTHY},
            deployment=LIVE,
            paused=True,
        ),
        "Rolled back: the fix made it worse",
        Colour.RED,
        f"`{NAME}` · It died.\nthe previous build `7d14957` was put back",
        [],
    ),
    "proposed, and it goes on crashing": (
        card(RunState.PROPOSED, of_run={"reason": "It touches `sql/`."}, occurrences=3, last_seen=NOW),
        f"Needs a look: {NAME}",
        Colour.AMBER,
        f"**A person is needed:** It touches `sql/`.\n{CAUSE}\n{PROPOSAL}\n{BACK}\n"
        f"**crashed 3 times tonight**, last <t:{THEN}:R>",
        ["retry:9f3c21aa", "reject:9f3c21aa"],
    ),
    "rolled back": (
        card(
            RunState.ROLLED_BACK,
            of_run={"reason": "New server died after 12 s in `BotAI::~BotAI`", "verdict": Verdict.UNHEALTHY},
            deployment=LIVE,
            revert=FixLink(REVERT, None, None),
            paused=True,
            paused_by_it=True,
            death=Death("BotAI::~BotAI", "88"),
        ),
        "Rolled back: the fix made it worse",
        Colour.RED,
        "**Pipeline paused, a person is needed:** see what it died of, then `/resume`\n"
        f"`{NAME}` · New server died after 12 s in `BotAI::~BotAI`\n"
        "the previous build `7d14957` was put back · fix reverted in `e4f5a6b`\n"
        f"What it died of: [`BotAI::~BotAI`]({PAGE}/88), also by `/crash BotAI::~BotAI`",
        ["resume:pipeline"],
    ),
    "rolled back, and it did not crash": (
        card(
            RunState.ROLLED_BACK,
            of_run={"reason": "the server says it runs 12ab, not 34cd", "verdict": Verdict.UNHEALTHY},
            deployment=LIVE,
            paused_by_it=True,
        ),
        "Rolled back: the fix made it worse",
        Colour.RED,
        "**Pipeline paused, a person is needed:** see in the thread why, then `/resume`\n"
        f"`{NAME}` · the server says it runs 12ab, not 34cd\n"
        "the previous build `7d14957` was put back",
        ["resume:pipeline"],
    ),
    "rolled back, and nobody works on its crash": (
        card(
            RunState.ROLLED_BACK,
            of_run={"reason": "ordered by Ann: it lags", "verdict": Verdict.HEALTHY},
            deployment=LIVE,
            revert=FixLink(REVERT, None, None),
            paused_by_it=True,
            given_up=True,
        ),
        f"Rolled back: {NAME}",
        Colour.RED,
        "**Pipeline paused:** `/resume` lets it go on, when you like\n"
        "**rolled back, so it still crashes: needs a person**: `/retry 9f3c21aa` tries it again\n"
        "ordered by Ann: it lags\n"
        "the previous build `7d14957` was put back · fix reverted in `e4f5a6b`",
        ["resume:pipeline", "retry:9f3c21aa"],
    ),
    "rolled back, and it crashed of what was known": (
        card(
            RunState.ROLLED_BACK,
            of_run={
                "reason": "the new server died twice: it crashed in `Map::Load`",
                "verdict": Verdict.UNHEALTHY,
            },
            deployment=LIVE,
            made_worse=False,
        ),
        f"Rolled back: {NAME}",
        Colour.RED,
        "the new server died twice: it crashed in `Map::Load`\nthe previous build `7d14957` was put back",
        [],
    ),
    "given up, and only a build that was taken back crashed so": (
        card(RunState.FAILED, of_run={"reason": "no try is left"}, only_taken_back=True),
        f"Not fixed: {NAME}",
        Colour.GREY,
        "**It was seen only in a build that was taken back:** nobody is needed unless it comes again\n"
        f"no try is left\n{BACK}",
        [],
    ),
    "the revert of what was never live": (
        make_card(
            run=make_run(RunState.PUBLISHING, kind=RunKind.REVERT, asked_by="Ann", commit=REVERT),
            fix=FixLink(REVERT, None, "overnight-20241122"),
            withdrawn=Withdrawn("reverted by Ann", FixLink(COMMIT, URL, None)),
            mended=True,
        ),
        f"Taken back, pushing revert: {NAME}",
        Colour.BLUE,
        "Built · `e4f5a6b` on `overnight-20241122`\n"
        "**reverted by Ann** · it was never live\n"
        f"[`a1b2c3d`]({URL}) is being reverted in `e4f5a6b` on `overnight-20241122`",
        [],
    ),
    "rolled back to what was there before the first deployment": (
        card(
            RunState.ROLLED_BACK,
            of_run={"reason": "ordered by Ann: it lags", "verdict": Verdict.HEALTHY},
            deployment=replace(LIVE, previous="found-0123456789abcdef", previous_commit=REVERT),
        ),
        f"Rolled back: {NAME}",
        Colour.RED,
        "ordered by Ann: it lags\nthe build that was there before (`e4f5a6b`) was put back",
        [],
    ),
    "rolling back to what was there before the first deployment": (
        card(
            RunState.ROLLING_BACK,
            of_run={"reason": "ordered by Ann: it lags"},
            deployment=replace(LIVE, previous="found-0123456789abcdef"),
        ),
        f"Rolling back: {NAME}",
        Colour.RED,
        "**Taken back:** ordered by Ann: it lags\ngoing back to the build that was there before",
        [],
    ),
    "rolling back by order": (
        card(RunState.ROLLING_BACK, of_run={"reason": "ordered by Ann: it lags"}, deployment=LIVE),
        f"Rolling back: {NAME}",
        Colour.RED,
        "**Taken back:** ordered by Ann: it lags\ngoing back to the previous build `7d14957`",
        [],
    ),
    "rolled back by order": (
        card(
            RunState.ROLLED_BACK,
            of_run={"reason": "ordered by Ann: it lags", "verdict": Verdict.HEALTHY},
            deployment=LIVE,
            revert=FixLink(REVERT, None, None),
        ),
        f"Rolled back: {NAME}",
        Colour.RED,
        "ordered by Ann: it lags\nthe previous build `7d14957` was put back · fix reverted in `e4f5a6b`",
        [],
    ),
    "deploying while the server is stopped": (
        card(RunState.DEPLOYING, fix=FIX, deployment=replace(LIVE, state="stopping"), server=ServerState.HELD),
        f"Deploying fix: {NAME}",
        Colour.BLUE,
        f"The server is stopped; this goes live with its next start · {LINK}\n{CAUSE}",
        [],
    ),
    "failed": (
        card(RunState.FAILED, of_run={"reason": "the clone cannot be worked with"}),
        f"Not fixed: {NAME}",
        Colour.AMBER,
        "**No further try by itself; a person is needed:** `/retry 9f3c21aa` tries it again\n"
        f"the clone cannot be worked with\n{CRASH}\n{BACK}",
        ["retry:9f3c21aa"],
    ),
    "not cured": (
        card(RunState.FAILED, of_run={"commit": COMMIT, "verdict": Verdict.NOT_CURED}, fix=FIX),
        f"Not cured: {NAME}",
        Colour.AMBER,
        f"**it crashed again with the fix in place; the build stays · {LINK}**\n{CRASH}",
        [f"revert:{COMMIT}"],
    ),
    "does not compile, tries used up": (
        card(RunState.FAILED, of_run={"returns": 2}, diagnostics=(UNDECLARED,)),
        f"Fix does not compile: {NAME}",
        Colour.AMBER,
        "**No further try by itself; a person is needed:** `/retry 9f3c21aa` tries it again\n"
        f"`BotAI.cpp:337: error: '_priorityManager' was not declared` · log in the thread\n{BACK}",
        ["retry:9f3c21aa"],
    ),
    "cancelled": (
        card(RunState.CANCELLED, of_run={"reason": "rejected by Ann"}, mended=False, previous_card="77"),
        f"Rejected: {NAME}",
        Colour.GREY,
        f"rejected by Ann · the crash is not mended · `/retry 9f3c21aa` asks anew\n{CRASH}\n{BACK}\n"
        "[The card before this one](https://discord.com/channels/1/2/77)",
        ["retry:9f3c21aa"],
    ),
}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_tells_its_present_state(name: str) -> None:
    view, heading, colour, text, buttons = CARDS[name]
    message = render_card(view, Home(1, 2))
    assert message.embed is not None
    assert (message.embed.title, message.embed.colour, message.embed.description) == (heading, colour, text)
    assert [each.custom_id for each in message.buttons] == buttons
    assert message.embed.footer == "Testrealm · night of 22 Nov 2024 · #c12"
    assert not message.content


def test_every_state_of_a_run_has_a_card_here() -> None:
    shown = {view.run.state for view, *_ in CARDS.values() if view.run is not None}
    assert shown == set(RunState)


@pytest.mark.parametrize("kind", RunKind)
@pytest.mark.parametrize("state", RunState)
def test_every_state_of_every_kind_of_run_can_be_shown(kind: RunKind, state: RunState) -> None:
    message = render_card(make_card(run=make_run(state, kind=kind), title="x" * 300))
    assert message.embed is not None and message.embed.description
    assert limits.width(message.embed.title) <= limits.READABLE_TITLE
    assert limits.fit(message) == message


@pytest.mark.parametrize("server", [None, *ServerState])
def test_every_state_of_the_server_can_be_shown(server: ServerState | None) -> None:
    for after in (None, 4.0):
        assert render_card(make_card(server=server, back_after=after)).embed is not None


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_relayed_is_markup_anywhere_on_a_card(text: str) -> None:
    analysis = Analysis(summary=text, confidence=text)
    report = CrashReport(ReportKind.UNKNOWN, text, cure=text, notes=(text,), environment=True)
    for state in (None, *RunState):
        of_run = None if state is None else make_run(state, analysis=analysis, reason=text, asked_by=text)
        assert_harmless(render_card(make_card(run=of_run, title=text, report=report, diagnostics=(Diagnostic(text),))))


def test_a_thread_is_named_after_the_crash_on_one_line() -> None:
    assert thread_name("BotAI::~BotAI\n\x00") == "BotAI::~BotAI"
    assert limits.width(thread_name("x" * 500)) <= limits.THREAD_NAME


def test_secrets_go_before_anything_is_escaped() -> None:
    view = card(RunState.FAILED, of_run={"reason": "login with pa*ss_word failed"})
    message = render_card(cleaned(view, lambda text: text.replace("pa*ss_word", "[redacted]")))
    assert message.embed is not None
    assert "login with [redacted] failed" in message.embed.description


def test_a_link_is_only_made_of_an_address() -> None:
    view = card(RunState.PUBLISHING, fix=FixLink(COMMIT, "javascript:alert(1)", "overnight-20241122"))
    message = render_card(view)
    assert message.embed is not None
    assert message.embed.description.startswith("Built · `a1b2c3d` on `overnight-20241122`")
