"""What an operator reads is behaviour: whole texts, one state after another."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from edge_fakes import COMMIT, NAME, NOW, REVERT, URL, make_card, make_run, make_status, make_update_plan
from harmless import HOSTILE, assert_harmless

from bot import limits, messages, report
from bot.cards import Home, render_card, thread_name
from bot.markup import block, code, duration, plain, prose, size, title
from bot.messages import Phase
from bot.needs import say_need
from bot.payloads import Colour, Embed, Message
from bot.posts import close_news, render_post
from bot.redaction import cleaned
from bot.status import Instance, find_instance, render_status, say_tonight
from pipeline.card_models import CardView, DeploymentView, FixLink, Post, PostKind, Withdrawn
from pipeline.keeper.protocol import Hold, ServerState
from pipeline.model import (
    OURS,
    Actor,
    Analysis,
    Awaits,
    Change,
    CrashReport,
    Diagnostic,
    Done,
    FixState,
    Hindrance,
    Impossible,
    Progress,
    Question,
    ReportKind,
    RunKind,
    RunState,
    Verdict,
)
from pipeline.moments import write_moment
from pipeline.needs import Seen, list_server_needs
from pipeline.read_models import FixLine, OrderEnd, RestartPlan, RevertPlan, RollbackPlan, TakenOut
from pipeline.status_models import Left, Need, PauseView, RunLine, Topic

ANALYSIS = Analysis(summary="Members are destroyed in reverse order.", confidence="high")
CAUSE = "**Members are destroyed in reverse order.**"
FIX = FixLink(COMMIT, URL, "overnight-20241122")
LINK = f"[`a1b2c3d`]({URL}) on `overnight-20241122`"
CHANGES = (Change("src/server/game/EventDispatcher.cpp", 12, 1),)
LIVE = DeploymentView("d1", COMMIT, "verifying", 21.0, NOW, NOW + timedelta(seconds=100), "7d14957a32df0000")
BACK = "Server back after **4 s**"
CRASH = "access violation at `EventDispatcher.cpp:132` · first time seen · it ran `7d14957a32df`"
THEN = int(NOW.timestamp())
UNDECLARED = Diagnostic("'_priorityManager' was not declared", "BotAI.cpp", 337)
BY = Actor("1", "Ann")
PROPOSAL = (
    "The proposal is in the thread, and another answer is taken\n"
    "`/retry 9f3c21aa` asks anew, `/reject 9f3c21aa` closes it"
)
TAKEN = TakenOut(NAME, COMMIT, RunKind.FIX)
BACK_TO = RollbackPlan(COMMIT, REVERT, NOW, (TAKEN,), True, 20.0, 14, 0.0)
WAITING = (RunState.PROPOSED, RunState.AWAITING_APPROVAL)  # for a person, who reads it first
OVER = OrderEnd(5, "restart", "done", "Ann", "new map", NOW, NOW, "", "1", "2")


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
        [],
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
        card(RunState.AWAITING_APPROVAL, of_run={"question": Question.BASE}),
        f"Waits for approval: {NAME}",
        Colour.AMBER,
        "**May the night branch begin here?** At the head that the base branch has when it is approved, as what runs is"
        " not known: **whatever that has and the server has not goes live with the fix**\n"
        f"{CAUSE}\nConfidence high\n{BACK}",
        ["approve:9f3c21aa:base-0", "reject:9f3c21aa"],
    ),
    "approval of a base that is the head of now": (
        card(RunState.AWAITING_APPROVAL, of_run={"question": Question.BASE}, base=FIX),
        f"Waits for approval: {NAME}",
        Colour.AMBER,
        f"**May the night branch begin here?** At the head that the base branch has when it is approved (at this"
        f" writing [`a1b2c3d`]({URL})), as what runs is not known: **whatever that has and the server has not goes live"
        f" with the fix**\n{CAUSE}\nConfidence high\n{BACK}",
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
        "**May the night branch begin here?** At `7d14957a32df+`, as what runs cannot be told for certain\n"
        f"{CAUSE}\nConfidence high\n{BACK}",
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
            players=14,
            player_limit=5,
            deploy_at_latest=NOW + timedelta(hours=6),
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
            players=14,
            player_limit=5,
            deploy_at_latest=NOW + timedelta(hours=6),
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
            players=14,
            player_limit=5,
            deploy_at_latest=NOW + timedelta(hours=6),
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
            players=14,
            player_limit=5,
            deploy_at_latest=NOW + timedelta(hours=6),
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
        [],
    ),
    "rolled back": (
        card(
            RunState.ROLLED_BACK,
            of_run={"reason": "New server died after 12 s in `BotAI::~BotAI`", "verdict": Verdict.UNHEALTHY},
            deployment=LIVE,
            revert=FixLink(REVERT, None, None),
            paused=True,
            paused_by_it=True,
        ),
        "Rolled back: the fix made it worse",
        Colour.RED,
        "**Pipeline paused, a person is needed:** see in the thread what it died of, then `/resume`\n"
        f"`{NAME}` · New server died after 12 s in `BotAI::~BotAI`\n"
        "the previous build `7d14957` was put back · fix reverted in `e4f5a6b`",
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
        "**Pipeline paused:** `/resume` lets it go on\n"
        "**rolled back, so it still crashes: needs a person**: `/retry 9f3c21aa` tries it again\n"
        "ordered by Ann: it lags\n"
        "the previous build `7d14957` was put back · fix reverted in `e4f5a6b`",
        ["resume:pipeline"],
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
        [],
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
        [],
    ),
    "cancelled": (
        card(RunState.CANCELLED, of_run={"reason": "rejected by Ann"}, mended=False, previous_card="77"),
        f"Rejected: {NAME}",
        Colour.GREY,
        f"rejected by Ann · the crash is not mended · `/retry 9f3c21aa` asks anew\n{CRASH}\n{BACK}\n"
        "[The card before this one](https://discord.com/channels/1/2/77)",
        [],
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


# --- relayed text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_relayed_is_markup_anywhere_on_a_card(text: str) -> None:
    analysis = Analysis(summary=text, confidence=text)
    report = CrashReport(ReportKind.UNKNOWN, text, cure=text, notes=(text,), environment=True)
    for state in (None, *RunState):
        of_run = None if state is None else make_run(state, analysis=analysis, reason=text, asked_by=text)
        assert_harmless(render_card(make_card(run=of_run, title=text, report=report, diagnostics=(Diagnostic(text),))))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", PostKind)
def test_nothing_relayed_is_markup_anywhere_in_a_post(kind: PostKind, text: str) -> None:
    keys = ("prose", "diff", "frames", "notes", "log_text", "reason", "detail", "by", "what", "file", "title", "text")
    data: dict[str, Any] = dict.fromkeys(keys, text) | {"branch": text, "revision": text, "category": text}
    data |= {"commit": text, "diagnostics": [text], "analysis": {"summary": text, "details": text}}
    assert_harmless(render_post(Post(34, kind, None, data, NOW), text))
    taken = {"what": "rolling back", "by": text, "detail": text, "build": text, "build_commit": text}
    change = {"kind": text, "subject": text, "commit": text, "url": URL, "revert": text, "revert_url": URL}
    assert_harmless(render_post(Post(34, PostKind.ORDER, 12, {**taken, "changes": [change]}, NOW), text))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_relayed_is_markup_in_an_answer(text: str) -> None:
    by = Actor("1", text)
    plan = RevertPlan(COMMIT, text, 20.0, 14, False)
    for message in (
        messages.paused(Done(text), by, text),
        messages.impossible(Impossible(text)),
        messages.ask_revert(plan),
        messages.ask_restart(RestartPlan(None, None, None, (text,)), timedelta(), limits.cut_middle(text, 80)),
        messages.too_late("x", by),
        messages.ask_stop(RestartPlan(None, None, None, (text,)), timedelta(), limits.cut_middle(text, 80)),
        messages.ask_update(make_update_plan(subjects=((COMMIT, text),), branch=text)),
        messages.ask_rollback(
            replace(BACK_TO, taken=(replace(TAKEN, subject=text),), passed=(text,)), limits.cut_middle(text, 80)
        ),
        messages.order_over(replace(OVER, by=text, reason=text, note=text, state="failed")),
        render_status(make_status(realm=text, hold_detail=text, hold=Hold.BREAKER, degraded=(text,), branch=text)),
    ):
        assert_harmless(message)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_mark_of_markdown_is_left_without_its_backslash(text: str) -> None:
    assert not re.search(r"[*`]|~~|\|\||__", re.sub(r"\\.", "", plain(text)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("BotAI::~BotAI", "BotAI::~BotAI"),
        ("std::vector<int>::operator[]", "std::vector<int>::operator[]"),
        ("operator*", r"operator\*"),
        ("snake_case_name", "snake_case_name"),
        ("__gnu_cxx::x", r"\_\_gnu_cxx::x"),
        ("@everyone", "@\u200beveryone"),
        ("mail@example.org", "mail@\u200bexample.org"),
        ("1.5 s", "1.5 s"),
        ("# loud", "\u200b# loud"),
        ("see https://x.example", "see https:\u200b//x.example"),
    ],
)
def test_names_of_code_stay_readable_and_nothing_else_gets_through(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_prose_keeps_pairs_of_backticks_as_code_and_escapes_a_lone_one() -> None:
    assert prose("end `port 8085` or ` wait*") == r"end `port 8085` or \` wait\*"


def test_everyone_reads_a_moment_within_a_kept_text_by_his_own_clock() -> None:
    kept = f"3 players online: goes live {write_moment(NOW)} at the latest, `{write_moment(NOW)}`"
    assert prose(kept) == f"3 players online: goes live <t:{THEN}:R> at the latest, `{write_moment(NOW)}`"
    for none in ("<2026-13-01T00:00:00Z>", "<2026-11-22>", "2026-11-22T22:00:00Z"):
        assert prose(f"at {none}") == f"at {none}"


def test_a_code_span_cannot_be_left() -> None:
    assert code("a`b``c\nd") == "`aˋbˋˋc d`"
    assert code("") == "`–`"


def test_a_code_block_cannot_be_closed_from_inside() -> None:
    assert block("a\n```\n@everyone", "diff") == "```diff\na\n`\u200b`\u200b`\n@\u200beveryone\n```"


def test_a_title_gives_way_in_its_middle() -> None:
    name = "WorldSession::" + "HandleSomethingVeryLong" * 4
    shown = title("Fix does not compile: {}", name)
    assert limits.width(shown) == 60 and "…" in shown
    assert shown.startswith("Fix does not compile: WorldSession::") and shown.endswith("VeryLong")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0.1 s"), (0.42, "0.4 s"), (4.2, "4 s"), (59.6, "1 min"), (100, "1 min 40 s"), (7500, "2 h 5 min")],
)
def test_durations_have_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


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


# --- posts -----------------------------------------------------------------------------------------------------------

ANN = {"hash": "e" * 40, "author": "Ann", "at": "2024-11-20T12:00:00+00:00", "subject": "maps: hurry", "url": None}
BOB = {"hash": COMMIT, "author": "Bob *x*", "at": "2024-11-21T12:00:00+00:00", "subject": "x @everyone", "url": URL}
PLACE = {"function": "Map::Update", "file": "src/Map.cpp", "line": 412}
GOOD = {"hash": "d" * 40, "url": None}
SUSPICIONS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"touches": [], "since": None, "changed": None, "near": [], "fixes": None, "similar": [], "known": None}, ()),
    (
        {"touches": [{**PLACE, "commit": ANN, "is_new": True}, {**PLACE, "line": 9, "commit": BOB, "is_new": True},
                     {**PLACE, "line": 7, "commit": ANN, "is_new": True}],
         "since": GOOD, "changed": 1, "near": [ANN]},
        ("**suspect**: `eeeeeee` *maps: hurry* by Ann <t:1732104000:R> touched `Map::Update` line 412",
         f"**suspect**: {LINK.split(' ')[0]} *x @\u200beveryone* by Bob \\*x\\* <t:1732190400:R>"
         " touched `Map::Update` line 9",
         "since the last good build `ddddddd`: 1 commit; these files: `eeeeeee` *maps: hurry*"),
    ),
    (
        {"touches": [{**PLACE, "commit": ANN, "is_new": False}, {**PLACE, "commit": BOB, "is_new": None}],
         "since": GOOD, "changed": 0},
        ("`Map::Update` line 412 was last changed by `eeeeeee` *maps: hurry* by Ann <t:1732104000:R>,"
         " not since the last good build",
         "nothing is new since the last good build `ddddddd`"),
    ),
    (
        {"since": GOOD, "changed": 1, "near": [], "new": [ANN]},
        ("since the last good build `ddddddd`: 1 commit, not in these files: `eeeeeee` *maps: hurry*",),
    ),
    (
        {"since": GOOD, "changed": 2, "new": [{**BOB, "url": None}, ANN]},
        ("since the last good build `ddddddd`: 2 commits, none of them in these files: "
         f"`{COMMIT[:7]}` *x @\u200beveryone*, `eeeeeee` *maps: hurry*",),
    ),
    (
        {"since": GOOD, "changed": 40, "near": [], "new": []},
        ("since the last good build `ddddddd`: 40 commits, none of them in these files",),
    ),
    (
        {"touches": [{**PLACE, "commit": None, "is_new": False}]},
        ("`Map::Update` line 412 has not changed since the last good build",),
    ),
    ({"touches": [{**PLACE, "commit": None}]}, ("`Map::Update` line 412 has not changed for half a year",)),
    ({"fixes": [ANN, BOB, ANN, ANN, ANN]},
     (f"fixes of ours in this build: `eeeeeee`, {LINK.split(' ')[0]}, `eeeeeee` and 2 more",)),
    (
        {"similar": [{"title": "Map::Relocate", "times": 2, "last": ANN["at"], "commit": COMMIT, "url": URL},
                     {"title": "Map::`x", "times": 1, "last": ANN["at"], "commit": None},
                     {"title": "third", "times": 1, "last": ANN["at"], "commit": None}],
         "known": {"name": "the ferry", "cause": "It sank.", "cure": "Set `Ferry = 0`.", "see": "wiki#7"}},
        (f"similar: `Map::Relocate` crashed 2 times, last <t:1732104000:R> · fixed in {LINK.split(' ')[0]}",
         "similar: `Map::ˋx` crashed 1 time, last <t:1732104000:R>",
         "known as *the ferry*: Set `Ferry = 0`. (wiki#7)"),
    ),
    ({"notes": ["it is @here", "b", "c", "d"]}, ("*it is @\u200bhere*", "*b*", "*c*")),
]  # fmt: skip

POSTS: list[tuple[PostKind, dict[str, Any], str, str]] = [
    (
        PostKind.ANALYSIS,
        {
            "analysis": {"summary": "The dispatcher goes first.", "file": "a.cpp", "line": 3, "function": "f"},
            "attempt": 2,
        },
        "Analysis (try 2)",
        "**The dispatcher goes first.**\nat `a.cpp:3` · in `f`",
    ),
    (
        PostKind.PATCH,
        {"diff": "--- a\n+++ b\n-old\n+new\n+more", "commit": COMMIT},
        "The patch",
        "+2 −1\n```diff\n--- a\n+++ b\n-old\n+new\n+more\n```",
    ),
    (
        PostKind.BACKTRACE,
        {
            "category": "abort",
            "frames": [
                {"function": "abort", "file": None, "line": None, "module": "libc.so.6"},
                {"function": "Map::Update", "file": "Map.cpp", "line": 7, "module": None},
            ],
            "crashing_frame": 1,
            "status": -6,
            "core": "/home/wow/server/.spirit-healer/lives/core-1",
            "notes": ["the core is gone"],
            "log": ["last line"],
        },
        "The crash",
        "abort · ended by signal 6 · core `core-1`\n"
        "```\n   0  abort  libc.so.6\n>  1  Map::Update  Map.cpp:7\n```\nthe core is gone",
    ),
    (
        PostKind.BACKTRACE,
        {
            "category": "freeze",
            "hypothesis": "The world thread made no progress; it was last seen in Map::Update at src/Map.cpp:7.",
            "errors": ["ERROR[server] **Ann** hangs"],
            "last_act": "[Bot:Ann] casts `@everyone`",
            "frames": [{"function": "Map::Update", "file": "src/Map.cpp", "line": 7, "module": None}],
        },
        "The crash",
        "**The world thread made no progress; it was last seen in Map::Update at src/Map.cpp:7.** "
        "*(from the report alone)*\nfreeze\n"
        "```\n   0  Map::Update  src/Map.cpp:7\n```\nbefore it: `ERROR[server] **Ann** hangs`\n"
        "last of the bots: `[Bot:Ann] casts ˋ@\u200beveryoneˋ`",
    ),
    *[
        (
            PostKind.BACKTRACE,
            {"category": "abort", "frames": "f", "suspects": given},
            "The crash",
            "\n".join(("abort", *lines, "```\nf\n```")),
        )
        for given, lines in SUSPICIONS
    ],
    (
        PostKind.BUILD_FAILED,
        {
            "diagnostics": ["a.cpp:1: error: x", "e2", "e3", "e4"],
            "log": "/x/build.log",
            "reason": "4 errors",
            "attempt": 1,
        },
        "The fix does not compile",
        "4 errors\n```\na.cpp:1: error: x\ne2\ne3\n```\ntry 1 · 1 more error in the log",
    ),
    (
        PostKind.BUILD_FAILED,
        {"diagnostics": ["a.cpp:1: error: x"], "reason": "a.cpp:1: error: x", "attempt": 2},
        "The fix does not compile",
        "```\na.cpp:1: error: x\n```\ntry 2",
    ),
    (
        PostKind.BACKTRACE,
        {"category": "assertion", "assertion": "HasEffect(i)", "frames": "main", "status": -6},
        "The crash",
        "assertion `HasEffect(i)` · ended by signal 6\n```\nmain\n```",
    ),
    (PostKind.BUILT, {"commit": COMMIT, "url": URL, "branch": "overnight-20241122"}, "Built", LINK),
    (PostKind.BUILT, {"commit": COMMIT, "url": URL, "kind": "revert"}, "Built with the revert", f"[`a1b2c3d`]({URL})"),
    (
        PostKind.BUILT,
        {"commit": REVERT, "kind": "revert", "undoes": [{"commit": COMMIT, "url": URL}], "by": "Ann"},
        "Built with the revert",
        f"`e4f5a6b`\ntakes back [`a1b2c3d`]({URL}) · ordered by Ann",
    ),
    (
        PostKind.BUILT,
        {"commit": REVERT, "kind": "revert", "undoes": [{"commit": COMMIT}], "puts_back": True},
        "Built with it put back",
        "`e4f5a6b`\ntakes back `a1b2c3d`",
    ),
    (PostKind.PATCH, {"diff": "-a\n+b\n", "kind": "revert"}, "The revert", "+1 −1\n```diff\n-a\n+b\n```"),
    (
        PostKind.REFUSED,
        {"reason": "`../x` is outside of the source."},
        "Patch refused",
        "`../x` is outside of the source.\nNothing was written.",
    ),
    (
        PostKind.DEPLOYED,
        {"commit": COMMIT, "url": URL, "down_seconds": 21.0, "revision": "a1b2c3d4e5f6"},
        "Live",
        f"Server up with [`a1b2c3d`]({URL}) · was down for 21 s · the server says `a1b2c3d4e5f6`",
    ),
    (PostKind.VERDICT, {"verdict": "healthy", "detail": ""}, "Verdict: healthy", "It stayed up through the soak."),
    (
        PostKind.SERVER,
        {"what": "held: breaker", "detail": "5 deaths in 3 min", "by": None},
        "Server held: it died too often",
        "5 deaths in 3 min",
    ),
    (
        PostKind.PIPELINE,
        {"what": "push owed", "detail": "`overnight-20241122` is not on the remote: no route"},
        "A push is owed",
        "`overnight-20241122` is not on the remote: no route\n"
        "It goes there by itself once the remote takes it; what is built goes live meanwhile.",
    ),
    (
        PostKind.SERVER,
        {"what": "swap failed", "detail": "the disk is full", "build": COMMIT, "rolled": "back"},
        "A build could not be put in place",
        "the disk is full\nbuild `a1b2c3d`\n"
        "The build before stays in place, and it is tried again by itself; its card has the cure.",
    ),
    (
        PostKind.SERVER,
        {"what": "swap failed", "detail": "the disk is full", "build": COMMIT, "rolled": "stuck"},
        "A build could not be put in place",
        "the disk is full\nbuild `a1b2c3d`",
    ),
    (
        PostKind.PIPELINE,
        {"what": "paused", "detail": "rolled back: `Map::Update`", "by": OURS},
        "Pipeline paused itself",
        "rolled back: `Map::Update`\n"
        "**A person is needed:** the thread of its card has what to look at, then Resume.\n"
        "The server is restarted after crashes as ever, and they are counted; the revert of what was rolled back, and"
        " what people order, goes through. Nothing else is patched, built or deployed until `/resume`.",
    ),
    (
        PostKind.PIPELINE,
        {"what": "paused", "detail": "raid", "by": "Ann"},
        "Pipeline paused",
        "raid\nby Ann\n"
        "The server is restarted after crashes as ever, and they are counted; the revert of what was rolled back, and"
        " what people order, goes through. Nothing else is patched, built or deployed until `/resume`.",
    ),
    (
        PostKind.REJECTED_RESPONSE,
        {"file": "response_x.json", "reason": "nobody asked for this"},
        "A response was refused",
        "`response_x.json`: nobody asked for this\nIt lies in `rejected/`; nothing was changed.",
    ),
    (PostKind.ORDER, {"what": "restarting", "detail": "new map", "by": "Ann"}, "Server restarts", "new map\nby Ann"),
    (
        PostKind.SUMMARY,
        {"night": "2024-11-23", "counts": {"up": 80000.0}},
        "Night of 23 Nov: quiet",
        "Up 100 %, 0 crashes.",
    ),
]


@pytest.mark.parametrize(("kind", "data", "heading", "text"), POSTS, ids=[each[0] for each in POSTS])
def test_a_post_says_what_happened(kind: PostKind, data: dict[str, Any], heading: str, text: str) -> None:
    message = render_post(Post(34, kind, None, data, NOW), "Testrealm")
    assert message.embed is not None
    assert (message.embed.title, message.embed.description) == (heading, text)
    assert message.embed.footer == "Testrealm · #p34"


def test_many_refused_responses_are_one_post_with_the_first_reasons() -> None:
    refused = [{"file": f"response_{name}.json", "reason": "no `patch` in it"} for name in "abc"]
    message = render_post(
        Post(34, PostKind.REJECTED_RESPONSE, None, {"count": 37, "refused": refused}, NOW), "Testrealm"
    )
    assert message.embed is not None
    assert message.embed.title == "37 responses were refused"
    assert message.embed.description == (
        "`response_a.json`: no `patch` in it\n`response_b.json`: no `patch` in it\n"
        "`response_c.json`: no `patch` in it\n"
        "and 34 more\nThey lie in `rejected/`; nothing was changed."
    )


def test_every_kind_of_post_has_a_text_here() -> None:
    assert {kind for kind, *_ in POSTS} == set(PostKind)


@pytest.mark.parametrize("kind", PostKind)
def test_a_post_without_any_data_is_still_a_message(kind: PostKind) -> None:
    message = render_post(Post(1, kind, None, {}, NOW), "Testrealm")
    assert message.embed is not None and message.embed.title


def test_the_role_is_called_once_the_server_is_held_by_the_breaker_and_not_for_a_stop() -> None:
    held = render_post(Post(1, PostKind.SERVER, None, {"what": "held: breaker"}, NOW), "Testrealm")
    stopped = render_post(Post(2, PostKind.SERVER, None, {"what": "held: stopped"}, NOW), "Testrealm")
    assert (held.ping, stopped.ping) == (True, False)
    assert [each.custom_id for each in held.buttons] == ["start:server"]
    foreign = render_post(Post(3, PostKind.SERVER, None, {"what": "held: foreign"}, NOW), "Testrealm")
    assert (foreign.ping, foreign.buttons) == (True, ()), "no order lifts that hold"


def test_news_that_are_over_say_so_and_offer_nothing() -> None:
    held = render_post(
        Post(1, PostKind.SERVER, None, {"what": "held: breaker", "detail": "5 deaths"}, NOW), "Testrealm"
    )
    over = close_news(held)
    assert over.embed is not None
    assert (over.embed.title, over.embed.colour) == ("Over: Server held: it died too often", Colour.GREY)
    assert over.embed.description == "**This is over.** `/status` tells what is now.\n5 deaths"
    assert (over.embed.footer, over.buttons, over.ping) == ("Testrealm · #p1", (), False)
    longest = close_news(Message(embed=Embed("x" * limits.TITLE, "", Colour.RED))).embed
    assert longest is not None and longest.title == f"Over: {'x' * 122}…{'x' * 127}"


def test_the_whole_backtrace_and_the_log_go_along_as_a_file() -> None:
    data = {"frames": "a\nb", "log": ["the last line"]}
    (file,) = render_post(Post(1, PostKind.BACKTRACE, 12, data, NOW), "Testrealm").files
    assert file.name == "backtrace.txt"
    assert file.text == "a\nb\n\n--- the log before the crash ---\nthe last line\n"


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_refusal_names_the_setting() -> None:
    assert messages.not_allowed().content == (
        "You may read but not order here: that takes one of the roles in `DISCORD_OPERATOR_ROLE_IDS`"
        " (or your id in `DISCORD_OPERATOR_USER_IDS`). Nothing was changed."
    )


def test_a_revert_asks_once_and_says_what_it_costs() -> None:
    message = messages.ask_revert(RevertPlan(COMMIT, "EventDispatcher: end managers first", 20.0, 14, False))
    assert message.content == (
        "Revert `a1b2c3d` *EventDispatcher: end managers first*? Builds and deploys the branch without it;"
        " the server goes down for about 20 s (14 players)."
    )
    assert [(each.label, each.custom_id) for each in message.buttons] == [
        ("Revert", f"confirm-revert:{COMMIT}"),
        ("Keep", f"keep:{COMMIT}"),
    ]


def test_a_revert_of_a_fix_says_what_comes_of_its_crash() -> None:
    message = messages.ask_revert(RevertPlan(COMMIT, "x", None, None, False, of_crash=True))
    assert message.content == (
        "Revert `a1b2c3d` *x*? Builds and deploys the branch without it; the server goes down.\n"
        "When its crash comes again, another fix is asked for; the same change goes nowhere unasked."
    )


def test_a_revert_of_a_fix_still_watched_says_that_it_waits() -> None:
    message = messages.ask_revert(RevertPlan(COMMIT, "x", None, None, True))
    assert message.content == (
        "Revert `a1b2c3d` *x*? It is still being verified: the revert waits for that."
        " Builds and deploys the branch without it; the server goes down."
    )


def test_a_restart_asks_once_and_says_what_it_brings() -> None:
    plan = RestartPlan(20.0, 1, "7d14957", ("fix(map): check bounds",))
    message = messages.ask_restart(plan, timedelta(minutes=2), "new map")
    assert message.content == (
        "Restart the server in 2 min? It goes down for about 20 s (1 player).\n"
        "It brings with it: *fix(map): check bounds*\nReason: new map"
    )
    assert [each.custom_id for each in message.buttons] == ["restart:120:new map", "keep:restart"]


def test_a_restart_can_be_cancelled_until_it_is_due() -> None:
    due = NOW + timedelta(seconds=90)
    message = messages.restarting(Done(order=5, due=due), BY, "new map", NOW)
    assert message.content == f"The server restarts <t:{THEN + 90}:R>, asked for by Ann: new map."
    assert [each.custom_id for each in message.buttons] == ["cancel-order:5"]
    assert messages.restarting(Done(order=5, due=NOW), BY, "", NOW).buttons == ()


def test_a_stop_of_what_does_not_run_asks_whether_it_stays_down() -> None:
    down = "The server does not run: it is held (always `Map::Update`)."
    message = messages.ask_stop(RestartPlan(20.0, None, None, down=down), timedelta(minutes=2), "new disk")
    assert message.content == f"{down} **Keep it down until** `/start-server`**, whatever happens?**\nReason: new disk"
    assert [each.custom_id for each in message.buttons] == ["stop:0:new disk", "keep:stop"]
    answer = messages.stopping(Done(), BY, "new disk", NOW)
    assert answer.content == "The server stays down until `/start-server`, asked for by Ann: new disk."


def test_a_rollback_of_what_does_not_run_says_when_the_older_build_goes_in() -> None:
    message = messages.ask_rollback(replace(BACK_TO, verifying=False, down="The server does not run: it died."), "")
    assert message.content.splitlines()[0] == (
        f"Roll back from `a1b2c3d` to `e4f5a6b`, healthy <t:{THEN}:R>? "
        "The server does not run: it died. Its next start is with the older build."
    )


def test_a_rollback_in_the_midst_of_a_verification_says_so() -> None:
    message = messages.ask_rollback(BACK_TO, "")
    assert message.content == (
        f"Roll back from `a1b2c3d` to `e4f5a6b`, healthy <t:{THEN}:R>? What runs is still being verified. "
        "The server goes down for about 20 s (14 players).\n"
        f"Taken back: `{NAME}` (`a1b2c3d`). The branch gets the reverts, and **the pipeline pauses itself** until "
        "`/resume`."
    )
    assert [each.custom_id for each in message.buttons] == ["roll-back:a1b2c3d:", "keep:rollback"]


def test_an_update_shows_what_comes_with_it_and_asks_once() -> None:
    message = messages.ask_update(make_update_plan(commits=12, branch=None))
    assert message.content == (
        f"Move the base to `e4f5a6b`? It is the head of the checkout `/srv/core`, committed <t:{THEN}:R>; its remote"
        " was not asked, `git pull` there brings what is newer.\n"
        "12 commits come with it, merged onto `a1b2c3d`, on a new night branch, built and"
        " deployed; it merges without a conflict. The server goes down for about 20 s (14 players).\n"
        "- `e4f5a6b` Core/Maps: check bounds\nand 11 more"
    )
    assert [each.custom_id for each in message.buttons] == [f"confirm-update:{REVERT}", "keep:e4f5a6b"]


def test_a_change_while_no_server_runs_is_asked_as_what_it_is() -> None:
    down = "The server does not run: it is held (always `Map::Update`)."
    revert = messages.ask_revert(RevertPlan(COMMIT, "Map: bounds", 20.0, None, False, down=down))
    live = f"{down} It goes live with the next start."
    assert revert.content == f"Revert `a1b2c3d` *Map: bounds*? Builds and deploys the branch without it. {live}"
    update = messages.ask_update(make_update_plan(down=down))
    assert update.content.splitlines()[1].endswith(f"it merges without a conflict. {live}")


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (OVER, f"The server was told to restart <t:{THEN}:R>, as Ann ordered: new map."),
        (
            replace(OVER, kind="stop", reason=""),
            f"The server was told to stop <t:{THEN}:R>, as Ann ordered. `/start-server` starts it again.",
        ),
        (replace(OVER, kind="rollback", reason=""), f"The rollback was begun <t:{THEN}:R>, as Ann ordered."),
        (
            replace(OVER, kind="start", reason="", state="up", seen_at=NOW + timedelta(seconds=4)),
            f"The server came up <t:{THEN + 4}:R>, **4 s** after it was told to start, as Ann ordered.",
        ),
        (
            replace(OVER, kind="rollback", state="up", seen_at=NOW + timedelta(seconds=21)),
            f"The server came up again with the older build <t:{THEN + 21}:R>, **21 s** after the rollback was"
            " begun, as Ann ordered: new map.",
        ),
        (
            replace(OVER, kind="stop", reason="", state="held", seen_at=NOW + timedelta(seconds=4)),
            f"The server is down since <t:{THEN + 4}:R> (**4 s** after it was told to stop), as Ann ordered."
            " `/start-server` starts it.",
        ),
        (
            replace(OVER, kind="stop", state="again", seen_at=NOW, up_at=NOW + timedelta(seconds=4)),
            f"The server was down for **4 s**, as Ann ordered: new map. It came up again <t:{THEN + 4}:R>.",
        ),
        (
            replace(OVER, state="held", note="5 deaths in a row", seen_at=NOW),
            f"The server did not come up, it is held since <t:{THEN}:R> (**0.1 s** after it was told to restart), as"
            " Ann ordered: new map. 5 deaths in a row",
        ),
        (
            replace(OVER, state="again", note="5 deaths in a row", seen_at=NOW, up_at=NOW + timedelta(seconds=4)),
            "The server was told to restart, as Ann ordered: new map, and was held for **4 s** (5 deaths in a row)."
            f" It came up <t:{THEN + 4}:R>.",
        ),
        (
            replace(OVER, state="cancelled", note="Bob"),
            f"Cancelled by Bob <t:{THEN}:R>: the restart that Ann ordered. Nothing of it happened.",
        ),
        (
            replace(OVER, state="lapsed"),
            f"Lapsed: the restart that Ann ordered was due <t:{THEN}:R>, and nobody was there. Nothing was changed.",
        ),
        (
            replace(OVER, kind="rollback", state="failed", note="`c0ffee1` runs by now."),
            "Not carried out: the rollback that Ann ordered. `c0ffee1` runs by now. Nothing was changed.",
        ),
    ],
)
def test_the_answer_to_an_order_that_is_over_says_how_it_ended(end: OrderEnd, text: str) -> None:
    assert messages.order_over(end) == Message(content=text)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (messages.paused(Done("Reports go on."), BY, "raid"), "Pipeline paused by Ann: raid. Reports go on."),
        (messages.resumed(Done(), BY), "Pipeline goes on, asked for by Ann."),
        (
            messages.reverting(Done(run="9f3c21aa"), COMMIT, BY),
            "Reverting `a1b2c3d`, asked for by Ann (run `9f3c21aa`). The card of its crash tells the rest.",
        ),
        (messages.cancelled(Done(), BY), "Cancelled by Ann: nothing of it happens."),
        (
            messages.deploying(Done("The server is stopped."), "9f3c21aa", BY),
            "Run `9f3c21aa` goes live as soon as it can, asked for by Ann. The server is stopped.",
        ),
        (messages.approved(Done(), "9f3c21aa", BY), "Run `9f3c21aa` approved by Ann."),
        (messages.rejected(Done(), "9f3c21aa", BY), "Run `9f3c21aa` rejected by Ann."),
        (messages.rejected(Done(), "9f3c21aa", BY, "wrong lock"), "Run `9f3c21aa` rejected by Ann: wrong lock."),
        (messages.ended(Done(), "9f3c21aa", BY), "Run `9f3c21aa` cancelled by Ann. `/retry` begins anew."),
        (
            messages.retried(Done(run="77aa77aa"), "9f3c21aa", BY),
            "Run `9f3c21aa` is tried again as run `77aa77aa`, asked for by Ann. Its card tells the rest.",
        ),
        (
            messages.updating(Done(run="77aa77aa"), COMMIT, BY),
            "The base moves to `a1b2c3d`, asked for by Ann (run `77aa77aa`); see its card.",
        ),
        (messages.not_found(Impossible("There is no run `x`.")), "There is no run `x`."),
        (messages.deploying(Done(), "9f3c21aa", BY), "Run `9f3c21aa` goes live now, asked for by Ann."),
        (messages.starting(Done(), BY), "The server is being started, asked for by Ann."),
        (messages.kept(BY), "Nothing was changed: Ann kept it as it is."),
        (messages.impossible(Impossible("It is not paused.")), "It is not paused. Nothing was changed."),
        (
            messages.impossible(Impossible("Nothing was changed: the remote is gone")),
            "Nothing was changed: the remote is gone",
        ),
        (
            messages.too_late("`restart`", BY),
            "Discord gave us no time to answer, but `restart` **was** done (Ann asked for it); see the card.",
        ),
        (
            messages.failed("pause", Phase.BEFORE),
            "`/pause` met an error and **nothing was done**. The log of the bot has the details.",
        ),
        (
            messages.failed("pause", Phase.DURING),
            "`/pause` met an error half-way: **it may have been done or not**. `/status` and the log tell.",
        ),
        (
            messages.failed("pause", Phase.AFTER),
            "`/pause` **was done**, only its answer met an error. The log of the bot has the details.",
        ),
        (
            messages.wrong_place("in direct messages"),
            "Orders are taken in the server this bot belongs to, not in direct messages. Nothing was changed.",
        ),
        (
            messages.question_lapsed(),
            "This question is older than 5 min and what it says may no longer hold. Nothing was changed; ask again.",
        ),
    ],
)
def test_an_answer_says_what_was_done_and_who_asked(message: Message, text: str) -> None:
    assert message.content == text


def test_a_line_of_the_completion_names_commit_and_subject() -> None:
    fix = FixLine(COMMIT, "fix(x):  y", "r", RunState.SUCCEEDED, NOW, None, reverted=True)
    assert messages.label_fix(fix) == "a1b2c3d fix(x): y (reverted)"


# --- /status ---------------------------------------------------------------------------------------------------------


def test_a_quiet_status_needs_nobody() -> None:
    embed = render_status(make_status()).embed
    assert embed is not None
    assert (embed.title, embed.colour, embed.description) == (
        "Testrealm: server up",
        Colour.GREEN,
        "Nothing waits for you.",
    )
    assert [(each.name, each.value) for each in embed.fields] == [
        (
            "Server",
            f"up since <t:{THEN}:R> · runs `7d14957a32df` · pid 4711 · 14 players\n2 crashes and 3 restarts tonight",
        ),
        ("Pipeline", f"Nothing in work.\n`overnight-20241122` at [`a1b2c3d`]({URL})"),
    ]
    assert embed.footer == "Spirit Healer 0.1.0 · keeper 4710 · 12.0 GiB free"


def test_a_status_begins_with_what_needs_a_person() -> None:
    runs = (
        RunLine("9f3c21aa", NAME, RunState.AWAITING_APPROVAL, None, Question.PATCH, None),
        RunLine("77aa77aa", "Map::Update", RunState.BUILDING, None, None, Progress(1, 4)),
    )
    view = make_status(
        server=ServerState.HELD,
        hold=Hold.BREAKER,
        hold_detail="5 deaths in 3 min",
        ready_at=None,
        started=None,
        pid=None,
        players=None,
        paused=PauseView("Ann", "raid", NOW),
        runs=runs,
        push_owed=True,
        degraded=("the remote does not answer",),
        needs=(
            Need(Topic.SERVER, "breaker", "5 deaths in 3 min"),
            Need(Topic.PAUSE, "Ann", "raid"),
            Need(Topic.APPROVAL, NAME, "", "9f3c21aa", None, "AWAITING_APPROVAL", "patch"),
        ),
    )
    embed = render_status(view).embed
    assert embed is not None
    assert (embed.title, embed.colour) == ("Testrealm: server held", Colour.RED)
    asks = f"`{NAME}` **waits for an approval** of its patch · run `9f3c21aa`"
    approval = f"{asks} · `/approve 9f3c21aa` or `/reject 9f3c21aa`"
    assert embed.description == (
        "**3 things need you**\n"
        "- the server is held: it died too often (5 deaths in 3 min) · `/start-server` starts it\n"
        f"- the pipeline is paused by Ann · raid · `/resume` lets it go on\n- {approval}"
    )
    assert [each.value for each in embed.fields] == [
        "2 crashes and 3 restarts tonight",
        f"**Paused** <t:{THEN}:R>\n"
        f"`overnight-20241122` at [`a1b2c3d`]({URL}) · **not all of it is on the remote yet**\n"
        "1 waiting for you · 1 in work\n- `Map::Update` building, 25 % · run `77aa77aa`",
        "- the remote does not answer",
    ]


def test_a_pipeline_that_paused_itself_says_so() -> None:
    need = Need(Topic.PAUSE, OURS, "`Map::Update` was rolled back", message="77", since=NOW.timestamp())
    words = f"the pipeline paused itself <t:{THEN}:R> · `Map::Update` was rolled back"
    assert say_need(need) == f"{words} · the thread of its card has what to look at, then `/resume` lets it go on"
    linked = "[its card](https://discord.com/channels/1/2/77)"
    assert say_need(need, Home(1, 2)).endswith(
        f"the thread of {linked} has what to look at, then `/resume` lets it go on"
    )
    by_ann = Need(Topic.PAUSE, "Ann", "raid", since=NOW.timestamp())
    assert say_need(by_ann) == f"the pipeline is paused by Ann since <t:{THEN}:R> · raid · `/resume` lets it go on"


def test_a_server_that_an_operator_stopped_is_called_stopped_and_by_whom_once() -> None:
    need = Need(Topic.SERVER, "stopped", "stopped by Ann: new disk")
    view = make_status(server=ServerState.HELD, hold=Hold.STOPPED, hold_detail=need.detail, pid=None, needs=(need,))
    embed = render_status(view).embed
    assert embed is not None and embed.title == "Testrealm: server stopped"
    assert embed.description == (
        "**1 thing needs you**\n- the server is down: stopped by Ann: new disk · `/start-server` starts it"
    )


def test_a_status_names_the_bot_that_holds_the_lock_its_versions_and_what_waits_for_discord() -> None:
    bot = Instance(4709, "realm-host", NOW, "Python 3.11.7, discord.py 2.7.1")
    embed = render_status(make_status(undelivered=3), bot).embed
    assert embed is not None
    assert (embed.fields[-1].name, embed.fields[-1].value) == (
        "Bot",
        f"process 4709 on `realm-host` holds the lock, since <t:{THEN}:R>\n"
        "Python 3.11.7, discord.py 2.7.1 · 3 messages wait for Discord",
    )
    assert find_instance(NOW).pid == os.getpid()


def test_a_status_names_the_build_where_the_revision_does_not() -> None:
    shown = render_status(make_status(build="found-0123456789abcdef")).embed
    ours = render_status(make_status(running=FixLink(COMMIT, URL, None), build=COMMIT)).embed
    assert shown is not None and ours is not None
    runs = f"up since <t:{THEN}:R> · runs `7d14957a32df`"
    assert shown.fields[0].value.startswith(f"{runs} · the build that was there before · pid 4711")
    assert ours.fields[0].value.startswith(f"{runs} · build [`a1b2c3d`]({URL}) · pid 4711")
    silent = render_status(make_status(build=f"found-{'0' * 64}", revision=None)).embed
    assert silent is not None
    assert silent.fields[0].value.startswith(f"up since <t:{THEN}:R> · runs a build that is not ours · pid 4711")


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        (COMMIT[:12], f"runs [`a1b2c3d`]({URL}) · pid 4711"),
        (None, f"runs [`a1b2c3d`]({URL}) · pid 4711"),
        (f"{COMMIT[:12]}+", f"runs `{COMMIT[:12]}+` · build [`a1b2c3d`]({URL}) · pid 4711"),
    ],
)
def test_a_status_names_a_commit_of_ours_once(revision: str | None, words: str) -> None:
    embed = render_status(make_status(running=FixLink(COMMIT, URL, None), build=COMMIT, revision=revision)).embed
    assert embed is not None
    assert embed.fields[0].value.startswith(f"up since <t:{THEN}:R> · {words}")


def test_what_is_no_fix_is_told_with_its_kind() -> None:
    line = RunLine("77aa77aa", "Map::Update", RunState.BUILDING, None, None, None, kind=RunKind.REVERT)
    need = Need(Topic.LOOK, "Map::Update", "no try left", "66bb66bb", state="FAILED", kind="revert")
    view = make_status(runs=(line,), needs=(need,))
    embed = render_status(view).embed
    assert embed is not None
    assert embed.description == (
        "**1 thing needs you**\n"
        "- the revert of `Map::Update` **given up: needs a person** · run `66bb66bb` · no try left · "
        "`/retry 66bb66bb` tries it again"
    )
    assert embed.fields[1].value.endswith("\n- the revert of `Map::Update` building · run `77aa77aa`")
    assert "Run 77aa77aa: the revert of Map::Update: building" in report.as_text(view)


@pytest.mark.parametrize(
    ("awaits", "words"),
    [
        (Awaits.QUIET, f"built: why, <t:{THEN}:R> · run `9f3c21aa`"),
        (Awaits.LANE, f"built: why, <t:{THEN}:R> · run `9f3c21aa`"),
        (Awaits.START, "built, goes live with the next start · run `9f3c21aa`"),
        (Awaits.TURN, "built, goes live next · run `9f3c21aa`"),
        (Awaits.RETRY, f"built, tried again <t:{THEN}:R> · run `9f3c21aa` · why, <t:{THEN}:R>"),
    ],
)
def test_a_status_says_the_one_thing_that_a_build_waits_for(awaits: Awaits, words: str) -> None:
    why = f"why, {write_moment(NOW)}"
    state = RunState.AWAITING_DEPLOYMENT
    line = RunLine("9f3c21aa", NAME, state, why, None, None, not_before=NOW, awaits=awaits)
    view = make_status(runs=(line,))
    embed = render_status(view).embed
    assert embed is not None and embed.fields[1].value.splitlines()[-1] == f"- `{NAME}` {words}"
    assert f"Run 9f3c21aa: {NAME}: built" in report.as_text(view)


def test_a_status_says_what_waits_for_the_end_of_the_pause() -> None:
    states = (RunState.ANALYZING, RunState.READY, RunState.AWAITING_DEPLOYMENT)
    runs = tuple(RunLine("9f3c21aa", NAME, state, None, None, None, paused=True) for state in states)
    embed = render_status(make_status(paused=PauseView("Ann", "", NOW), runs=runs)).embed
    assert embed is not None
    assert embed.fields[1].value.splitlines()[2:] == [
        "3 waiting for `/resume`",
        f"- `{NAME}` not asked yet, waits for `/resume` · run `9f3c21aa`",
        f"- `{NAME}` waits for `/resume` · run `9f3c21aa`",
        f"- `{NAME}` built, waits for `/resume` · run `9f3c21aa`",
    ]


@pytest.mark.parametrize("state", RunState)
def test_every_state_of_a_run_has_words_in_a_status(state: RunState) -> None:
    need = Need(Topic.LOOK, NAME, "why", "1", state=state)
    embed = render_status(make_status(runs=(RunLine("1", NAME, state, "why", None, None),), needs=(need,))).embed
    assert embed is not None
    assert "why" in embed.description and (state in WAITING or "why" in embed.fields[1].value)


def test_a_guest_reads_that_an_operator_is_needed() -> None:
    quiet, busy = make_status(), make_status(needs=(Need(Topic.PAUSE, "Ann"),))
    shown = [render_status(view, who="an operator").embed for view in (quiet, busy)]
    assert [each.description.splitlines()[0] for each in shown if each] == [
        "Nothing waits for an operator.", "**1 thing needs an operator**",
    ]  # fmt: skip


def test_a_guest_reads_of_runs_that_they_wait_for_an_operator() -> None:
    states = (RunState.PROPOSED, RunState.AWAITING_APPROVAL)
    runs = tuple(RunLine(f"9f3c21a{state[0]}", NAME, state, None, None, None) for state in states)
    shown = [render_status(make_status(runs=runs), who=who).embed for who in ("you", "an operator")]
    branch = f"`overnight-20241122` at [`a1b2c3d`]({URL})"
    assert [each.fields[1].value for each in shown if each] == [
        f"{branch}\n2 waiting for you", f"{branch}\n2 waiting for an operator",
    ]  # fmt: skip


NEEDED = """\
Testrealm: server held
Its keeper is process 4710
No bot runs: crashes are restarted, nothing is healed; `spirit-healer run` starts it
5 things need you:
  the server is held: it died too often (5 deaths in 3 min) · /start-server starts it
  the pipeline is paused by Ann · raid · /resume lets it go on
  EventDispatcher::UnsubscribeAll waits for an approval of its patch · run 9f3c21aa · it waits · \
/approve 9f3c21aa or /reject 9f3c21aa
  Loot::Roll given up: needs a person · run 66bb66bb · no try left · /retry 66bb66bb tries it again
  overnight-20241122 does not reach the remote · no route · it goes there by itself once the remote takes it
Tonight: 2 crashes and 1 restart
Branch overnight-20241122 at a1b2c3d4e5f6
Run 77aa77aa: Map::Update: building"""
UNNEEDED = """\
Testrealm: server held
Its keeper is process 4710
No bot runs: crashes are restarted, nothing is healed; `spirit-healer run` starts it
Held: it died too often (5 deaths in 3 min)
Down: it crashed: `Map::Update`
The pipeline is paused by Ann: raid
Not all of it is on the remote yet: the push is tried again
Tonight: 2 crashes and 1 restart
Branch overnight-20241122 at a1b2c3d4e5f6
Run 9f3c21aa: EventDispatcher::UnsubscribeAll: waits for an approval of its patch (it waits)
Run 77aa77aa: Map::Update: building
Run 66bb66bb: Loot::Roll: given up: needs a person (no try left)"""


@pytest.mark.parametrize(
    ("number", "said"), [(12 << 30, "12.0 GiB"), (3565158, "3.4 MiB"), (17 << 10, "17.0 KiB"), (1, "1 byte")]
)
def test_what_is_small_is_never_told_as_nothing_of_something_large(number: int, said: str) -> None:
    assert size(number) == said


def test_deployments_are_no_restarts_in_the_status() -> None:
    assert say_tonight(make_status(deployments_tonight=1)) == "2 crashes, 3 restarts and 1 deployment"


def test_the_command_line_says_what_is_needed_and_nothing_of_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    view = make_status(
        server=ServerState.HELD, hold=Hold.BREAKER, hold_detail="5 deaths in 3 min", pid=None, restarts_tonight=1,
        trouble="it crashed: `Map::Update`", paused=PauseView("Ann", "raid", NOW), push_owed=True,
        runs=(
            RunLine("9f3c21aa", NAME, RunState.AWAITING_APPROVAL, "it waits", Question.PATCH, None),
            RunLine("77aa77aa", "Map::Update", RunState.BUILDING, None, None, None),
        ),
        failed=(RunLine("66bb66bb", "Loot::Roll", RunState.FAILED, "no try left", None, None),),
        needs=(
            Need(Topic.SERVER, "breaker", "5 deaths in 3 min"),
            Need(Topic.PAUSE, "Ann", "raid"),
            Need(Topic.APPROVAL, NAME, "it waits", "9f3c21aa", None, "AWAITING_APPROVAL", "patch"),
            Need(Topic.LOOK, "Loot::Roll", "no try left", "66bb66bb", None, "FAILED"),
            Need(Topic.PUSH, "overnight-20241122", "no route"),
        ),
    )  # fmt: skip
    assert report.as_text(view) == NEEDED
    assert report.as_text(replace(view, needs=())) == UNNEEDED
    assert report.as_text(replace(view, needs=(), disk_free=3 << 20)).splitlines()[-1] == (
        "Does not work: only 3.0 MiB are free on the disk of STATE_DIR, where all is noted: make room there"
    )


def test_the_command_line_names_the_processes_that_a_person_may_want_to_end() -> None:
    first, second, *_ = report.as_text(make_status()).splitlines()
    assert first.endswith("(process 4711, 7d14957a32df0000)")
    assert second == "Its keeper is process 4710"
    assert "keeper is" not in report.as_text(make_status(keeper_pid=None))


def test_the_command_line_says_what_is_there_while_no_keeper_lives() -> None:
    def say(left: Left | None) -> str:
        view = make_status(
            server=None, pid=None, keeper_pid=None, left=left, needs=tuple(list_server_needs(Seen(left=left)))
        )
        first, bot, *others = report.as_text(view).splitlines()
        assert bot == "Neither bot nor keeper runs: nothing restarts the server; `spirit-healer run` starts both"
        return "\n".join((first, *(each for each in others if each.startswith(("1 thing", "  ")))))

    at = NOW.timestamp()
    local = f"{NOW.astimezone():%Y-%m-%d %H:%M:%S}"
    assert [say(left) for left in (Left(True, at, None), Left(False, at, 4711), Left(False, at, None), None)] == [
        f"Testrealm: server stopped in order, and its keeper with it, at {local}",
        "Testrealm: server runs by itself (process 4711)\n1 thing needs you:\n"
        "  the server runs by itself (process 4711): no keeper looks after it",
        "Testrealm: server does not run, and its keeper is gone\n1 thing needs you:\n"
        "  the server does not run, and no keeper looks after it",
        "Testrealm: server unknown: the keeper does not answer\n1 thing needs you:\n"
        "  the keeper does not answer: whether the server runs is not known",
    ]
