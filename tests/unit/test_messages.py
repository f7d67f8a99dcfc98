"""What is asked before an order and answered to it: whole texts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from edge_fakes import COMMIT, NAME, NOW, REVERT, THEN, make_status, make_update_plan
from harmless import HOSTILE, assert_harmless

from bot import limits, messages, questions
from bot.messages import Phase
from bot.payloads import Message
from bot.status import render_status
from pipeline.keeper.protocol import Hold
from pipeline.model import Actor, Done, FixState, Impossible, RunKind, RunState
from pipeline.moments import write_moment
from pipeline.read_models import FixLine, OrderEnd, RestartPlan, RevertPlan, RollbackPlan, TakenOut
from pipeline.status_models import RunLine

BY = Actor("1", "Ann")
TAKEN = TakenOut(NAME, COMMIT, RunKind.FIX)
BACK_TO = RollbackPlan(COMMIT, REVERT, NOW, (TAKEN,), True, 20.0, 14, 0.0)
OVER = OrderEnd(5, "restart", "done", "Ann", "new map", NOW, NOW, "", "1", "2")


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_relayed_is_markup_in_an_answer(text: str) -> None:
    by = Actor("1", text)
    plan = RevertPlan(COMMIT, text, 20.0, 14, False)
    for message in (
        messages.paused(Done(text), by, text),
        messages.impossible(Impossible(text)),
        questions.ask_revert(plan),
        questions.ask_restart(
            RestartPlan(None, None, None, (text,), halted=text), timedelta(), limits.cut_middle(text, 80)
        ),
        messages.too_late("x", by),
        questions.ask_stop(RestartPlan(None, None, None, (text,)), timedelta(), limits.cut_middle(text, 80)),
        questions.ask_update(make_update_plan(subjects=((COMMIT, text),), branch=text, base=text)),
        questions.ask_rollback(
            replace(BACK_TO, taken=(replace(TAKEN, subject=text),), passed=(text,)), limits.cut_middle(text, 80)
        ),
        messages.order_over(replace(OVER, by=text, reason=text, note=text, state="failed")),
        render_status(make_status(realm=text, hold_detail=text, hold=Hold.BREAKER, degraded=(text,), branch=text)),
    ):
        assert_harmless(message)


def test_a_refusal_names_the_setting() -> None:
    assert messages.not_allowed().content == (
        "You may read but not order here: that takes one of the roles in `DISCORD_OPERATOR_ROLE_IDS`"
        " (or your id in `DISCORD_OPERATOR_USER_IDS`). Nothing was changed."
    )


def test_a_revert_asks_once_and_says_what_it_costs() -> None:
    message = questions.ask_revert(RevertPlan(COMMIT, "EventDispatcher: end managers first", 20.0, 14, False))
    assert message.content == (
        "Revert `a1b2c3d` *EventDispatcher: end managers first*? Builds and deploys the branch without it;"
        " the server goes down for about 20 s (14 players)."
    )
    assert [(each.label, each.custom_id) for each in message.buttons] == [
        ("Revert", f"confirm-revert:{COMMIT}"),
        ("Keep", f"keep:{COMMIT}"),
    ]


def test_a_revert_of_a_fix_says_what_comes_of_its_crash() -> None:
    message = questions.ask_revert(RevertPlan(COMMIT, "x", None, None, False, of_crash=True))
    assert message.content == (
        "Revert `a1b2c3d` *x*? Builds and deploys the branch without it; the server goes down.\n"
        "When its crash comes again, another fix is asked for; the same change goes nowhere unasked."
    )


def test_a_revert_of_a_fix_still_watched_says_that_it_waits() -> None:
    message = questions.ask_revert(RevertPlan(COMMIT, "x", None, None, True))
    assert message.content == (
        "Revert `a1b2c3d` *x*? It is still being verified: the revert waits for that."
        " Builds and deploys the branch without it; the server goes down."
    )


def test_a_restart_asks_once_and_says_what_it_brings() -> None:
    plan = RestartPlan(20.0, 1, "7d14957", ("fix(map): check bounds",))
    message = questions.ask_restart(plan, timedelta(minutes=2), "new map")
    assert message.content == (
        "Restart the server in 2 min? It goes down for about 20 s (1 player).\n"
        "It brings with it: *fix(map): check bounds*\nReason: new map"
    )
    assert [each.custom_id for each in message.buttons] == ["restart:120:new map", "keep:restart"]


def test_who_asks_for_a_restart_or_a_stop_is_told_first_of_an_order_that_waits() -> None:
    due = f"Bob has ordered a restart already, due {write_moment(NOW)}: its Cancel button calls it off."
    told = f"Bob has ordered a restart already, due <t:{THEN}:R>: its Cancel button calls it off."
    plan = RestartPlan(20.0, 1, "7d14957", due=due)
    assert questions.ask_restart(plan, timedelta(minutes=5), "").content == (
        f"Restart the server in 5 min? It goes down for about 20 s (1 player).\n{told}"
    )
    assert questions.ask_stop(plan, timedelta(), "").content == (
        f"Stop the server now (1 player)? **It stays down until** `/start-server`**, whatever happens.**\n{told}"
    )


def test_a_restart_can_be_cancelled_until_it_is_due() -> None:
    due = NOW + timedelta(seconds=90)
    message = messages.restarting(Done(order=5, due=due), BY, "new map", NOW)
    assert message.content == f"The server restarts <t:{THEN + 90}:R>, asked for by Ann: new map."
    assert [each.custom_id for each in message.buttons] == ["cancel-order:5"]
    assert messages.restarting(Done(order=5, due=NOW), BY, "", NOW).buttons == ()


def test_a_stop_of_what_does_not_run_asks_whether_it_stays_down() -> None:
    down = "The server does not run: it is held (always `Map::Update`)."
    message = questions.ask_stop(RestartPlan(20.0, None, None, down=down), timedelta(minutes=2), "new disk")
    assert message.content == f"{down} **Keep it down until** `/start-server`**, whatever happens?**\nReason: new disk"
    assert [each.custom_id for each in message.buttons] == ["stop:0:new disk", "keep:stop"]
    answer = messages.stopping(Done(), BY, "new disk", NOW)
    assert answer.content == "The server stays down until `/start-server`, asked for by Ann: new disk."


def test_a_rollback_of_what_does_not_run_says_when_the_older_build_goes_in() -> None:
    message = questions.ask_rollback(replace(BACK_TO, verifying=False, down="The server does not run: it died."), "")
    assert message.content.splitlines()[0] == (
        f"Roll back from `a1b2c3d` to `e4f5a6b`, healthy <t:{THEN}:R>? "
        "The server does not run: it died. Its next start is with the older build."
    )


def test_a_rollback_in_the_midst_of_a_verification_says_so() -> None:
    message = questions.ask_rollback(BACK_TO, "")
    assert message.content == (
        f"Roll back from `a1b2c3d` to `e4f5a6b`, healthy <t:{THEN}:R>? What runs is still being verified. "
        "The server goes down for about 20 s (14 players).\n"
        f"Taken back: `{NAME}` (`a1b2c3d`). The branch gets the reverts, and **the pipeline pauses itself** until "
        "`/resume`."
    )
    assert [each.custom_id for each in message.buttons] == ["roll-back:a1b2c3d:", "keep:rollback"]


def test_an_update_shows_what_comes_with_it_and_asks_once() -> None:
    message = questions.ask_update(make_update_plan(commits=12, branch=None))
    assert message.content == (
        f"Move the base to `e4f5a6b`? It is the head of `main` in the checkout `/srv/core`, committed <t:{THEN}:R>; its"
        " remote was not asked, `git pull` there brings what is newer.\n"
        "12 commits come with it, merged onto `a1b2c3d`, on a new night branch, built and"
        " deployed; it merges without a conflict. The server goes down for about 20 s (14 players).\n"
        "- `e4f5a6b` Core/Maps: check bounds\nand 11 more"
    )
    assert [each.custom_id for each in message.buttons] == [f"confirm-update:{REVERT}", "keep:e4f5a6b"]


def test_an_update_from_a_checkout_that_is_on_no_branch_says_so() -> None:
    first = (questions.ask_update(make_update_plan(base=None)).content or "").splitlines()[0]
    assert first == (
        "Move the base to `e4f5a6b`? It is what the checkout `/srv/core` stands at, on no branch, committed"
        f" <t:{THEN}:R>; its remote was not asked, `git pull` there brings what is newer."
    )


def test_a_change_while_no_server_runs_is_asked_as_what_it_is() -> None:
    down = "The server does not run: it is held (always `Map::Update`)."
    revert = questions.ask_revert(RevertPlan(COMMIT, "Map: bounds", 20.0, None, False, down=down))
    live = f"{down} It goes live with the next start."
    assert revert.content == f"Revert `a1b2c3d` *Map: bounds*? Builds and deploys the branch without it. {live}"
    update = questions.ask_update(make_update_plan(down=down))
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
        (
            messages.approved(Done("Its build contains these too.", subject=NAME), "9f3c21aa", BY),
            f"Fix for `{NAME}` (run `9f3c21aa`) approved by Ann. Its build contains these too.",
        ),
        (
            messages.rejected(Done(subject=NAME), "9f3c21aa", BY),
            f"Fix for `{NAME}` (run `9f3c21aa`) rejected by Ann. `/retry 9f3c21aa` begins anew.",
        ),
        (
            messages.rejected(Done("It was built: run `77aa77aa` reverts it.", subject=NAME), "9f3c21aa", BY, "Why."),
            f"Fix for `{NAME}` (run `9f3c21aa`) rejected by Ann: Why. It was built: run `77aa77aa` reverts it."
            " `/retry 9f3c21aa` begins anew.",
        ),
        (
            messages.ended(Done(subject=NAME, kind=RunKind.REVERT), "9f3c21aa", BY),
            f"Revert of `{NAME}` (run `9f3c21aa`) cancelled by Ann. `/retry 9f3c21aa` begins anew.",
        ),
        (messages.ended(Done(), "9f3c21aa", BY), "Run `9f3c21aa` cancelled by Ann. `/retry 9f3c21aa` begins anew."),
        (
            messages.retried(Done(run="77aa77aa", subject=NAME), "9f3c21aa", BY),
            f"Fix for `{NAME}` (run `9f3c21aa`) is tried again as run `77aa77aa`, asked for by Ann."
            " Its card tells the rest.",
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


def test_a_run_is_offered_with_what_became_of_it() -> None:
    run = RunLine("9f3c21aa", "Map::Update", RunState.SUCCEEDED, None, None, None, fix_state=FixState.RECURRED)
    revert = replace(run, id="r459fe5a", kind=RunKind.REVERT, fix_state=None)
    for line, words in (
        (run, "9f3c21aa Map::Update (came back after its fix)"),
        (replace(run, fix_state=FixState.REVERTED), "9f3c21aa Map::Update (reverted)"),
        (replace(run, fix_state=FixState.WATCHING), "9f3c21aa Map::Update (succeeded)"),
        (revert, "r459fe5a revert of Map::Update (succeeded)"),
        (replace(revert, puts_back=True), "r459fe5a putting back of Map::Update (succeeded)"),
        (replace(run, state=RunState.AWAITING_APPROVAL), "9f3c21aa Map::Update (awaiting approval)"),
    ):
        assert messages.label_run(line) == words
