"""What people order of the server: restart, stop, rollback, each with a due time that a person can still cancel at;
and start, at once. An order is a row; what it asks for is done when it is due, and looked at again before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from pipeline.card_models import PostKind
from pipeline.keeper.protocol import Hold, Observed, ServerState, Want
from pipeline.model import Actor, Done, Impossible, Outcome
from pipeline.moments import write_moment
from pipeline.points import point
from pipeline.server_views import observe, say_down, say_halted
from pipeline.stages import deploying, rolling_back, wish
from pipeline.store import Fact, NewPost, Order, Overtaken
from pipeline.tools import Tools

LAPSED_AFTER = timedelta(minutes=5)
RESTART, STOP, ROLLBACK, START = "restart", "stop", "rollback", "start"
# What players read; {} is how long it is until then.
WARNINGS = {
    RESTART: "Server restart in {}",
    STOP: "Server shutdown in {}",
    ROLLBACK: "Server restart in {}: it goes back to the build before",
}


# --- ordering --------------------------------------------------------------------------------------------------------


def order(
    tools: Tools, kind: str, by: Actor, delay: timedelta, reason: str, about: str | None = None
) -> Done | Impossible:
    """One order of the server waits at a time: a sooner one takes the place of a later one."""
    now = tools.now()
    due = now + delay
    waiting = [each for each in tools.store.list_waiting_orders() if now - each.due <= LAPSED_AFTER]
    sooner = next((each for each in waiting if each.due <= due), None)
    if sooner is not None:
        left = max((sooner.due - now).total_seconds(), 0)
        cancel = "" if sooner.kind == kind else " Cancel that first."
        return Impossible(f"{sooner.by} has ordered a {sooner.kind} already: it is due in {left:.0f} s.{cancel}")
    with tools.store.together():
        for later in waiting:
            tools.store.end_order(later.id, "cancelled", now, note=f"the {kind} that {by} ordered")
        number = tools.store.add_order(kind, str(by), reason, due, now, about)
    return Done(order=number, due=due)


def restart(tools: Tools, by: Actor, delay: timedelta, reason: str) -> Outcome:
    return find_down(tools) or order(tools, RESTART, by, delay, reason)


def find_down(tools: Tools) -> Impossible | None:
    """Why a server that is down stays so for now, and how it is started. Between two lives a restart goes on."""
    stopped = find_stop(tools)
    observed = tools.keeper.observed() if tools.keeper.alive() else None
    if stopped is not None or observed is None or observed.state not in (ServerState.HELD, ServerState.BACKOFF):
        return stopped
    return find_other(observed) or Impossible(f"{say_down(tools)} `/start-server` starts it.")


def find_other(observed: Observed | None) -> Impossible | None:
    """Who else looks after the server: no wish lifts that hold."""
    if observed is None or observed.hold is not Hold.FOREIGN:
        return None
    return Impossible(f"The keeper starts nothing beside another one: {observed.hold_detail}. End that first.")


def stop(tools: Tools, by: Actor, delay: timedelta, reason: str) -> Outcome:
    """Of a server that does not run: it stays down from now on, and there is nobody to give time to."""
    stopped = find_stop(tools)
    if stopped is not None:
        return stopped
    if not say_down(tools):
        return order(tools, STOP, by, delay, reason)
    restarts = count_restarts(tools)
    with tools.store.together():
        for later in tools.store.list_waiting_orders():
            tools.store.end_order(later.id, "cancelled", tools.now(), note=f"the stop that {by} ordered")
        note_wish(tools, Want.STOPPED, str(by), reason, restarts)
    return Done()


def find_stop(tools: Tools) -> Impossible | None:
    """By whom it was stopped."""
    server = tools.store.get_fact(Fact.SERVER) or {}
    if server.get("want") != Want.STOPPED:
        return None
    words = f": {server['reason']}" if server.get("reason") else ""
    return Impossible(f"{server.get('by')} has stopped the server{words}. `/start-server` starts it.")


def roll_back(tools: Tools, by: Actor, running: str, reason: str) -> Outcome:
    """`running` begins the build that the person was asked about."""
    way = rolling_back.find_way_back(tools)
    if isinstance(way, Impossible):
        return way
    if not way.running.startswith(running):
        return Impossible(f"`{way.running[:12]}` runs by now, which is not what was asked about. Ask again.")
    outcome = order(tools, ROLLBACK, by, give_notice(tools), reason, way.running)
    return replace(outcome, build=way.target) if isinstance(outcome, Done) else outcome


def give_notice(tools: Tools) -> timedelta:
    """SERVER_STOP_NOTICE where there is anybody to read it."""
    observed = tools.keeper.observed()
    players = None if observed is None else deploying.count_players(tools, observed)
    listened = deploying.has_listeners(tools, players) and not say_down(tools)
    return tools.realm.stop_notice if listened else timedelta()


def cancel(tools: Tools, number: int, by: Actor) -> Outcome:
    if tools.store.end_order(number, "cancelled", tools.now(), note=str(by)):
        return Done()
    return Impossible("It is too late: it was carried out, cancelled, or has lapsed.")


def start(tools: Tools, by: Actor) -> Outcome:
    """Under a keeper that is stopped nobody knows whether one runs: the order waits for it."""
    server = tools.store.get_fact(Fact.SERVER) or {}
    observed, halted = observe(tools.keeper).observed, say_halted(tools)
    other = find_other(observed)
    if other is not None:
        return other
    if observed is not None and observed.pid is not None and server.get("want") != Want.STOPPED:
        return find_due_stop(tools) or Impossible("The server runs already.")
    restarts = count_restarts(tools)
    with tools.store.together():
        note_wish(tools, Want.UP, str(by), "", restarts)
        return Done(halted, order=tools.store.note_done(START, str(by), "", tools.now()))


def find_due_stop(tools: Tools) -> Impossible | None:
    """A stop that waits: who wants the server up has to call it off."""
    due = next((each for each in tools.store.list_waiting_orders() if each.kind == STOP), None)
    if due is None:
        return None
    when = write_moment(due.due)
    return Impossible(f"The server runs, but {due.by} has ordered a stop, due {when}. Its Cancel button calls it off.")


def say_due(tools: Tools) -> str:
    """Of the order that waits for its time; "" = none does."""
    due = next(iter(tools.store.list_waiting_orders()), None)
    if due is None:
        return ""
    ordered = f"{due.by} has ordered a {due.kind} already, due {write_moment(due.due)}"
    return f"{ordered}: its Cancel button calls it off, and a sooner order takes its place."


# --- carrying out ----------------------------------------------------------------------------------------------------


def serve(tools: Tools) -> bool:
    """Carries out what is due, and brings the wish to what the database says, whether or not the first went through.
    Asks no git: what a person wants of the server waits for nothing but the server."""
    try:
        return carry_out_due(tools)
    finally:
        wish.reconcile(tools)


def carry_out_due(tools: Tools) -> bool:
    """Orders whose time has come; those that are more than 5 min late have lapsed, and say so."""
    changed = False
    now = tools.now()
    for each in tools.store.list_waiting_orders():
        changed |= tell_players(tools, each, each.due - now)
        if now - each.due > LAPSED_AFTER:
            data = {"what": "lapsed", "detail": f"the {each.kind} that {each.by} ordered was not carried out: "
                    "nobody was there at its time", "by": each.by}  # fmt: skip
            tools.store.end_order(each.id, "lapsed", now, [NewPost(PostKind.ORDER, data, to_channel=True)])
        elif each.due <= now:
            carry_out(tools, each)
        else:
            continue
        changed = True
    return changed


def carry_out(tools: Tools, each: Order) -> None:
    match each.kind:
        case "stop":
            stop_now(tools, each)
        case "rollback":
            roll_back_now(tools, each)
        case _:
            restart_now(tools, each)


def tell_players(tools: Tools, each: Order, left: timedelta) -> bool:
    """Players are told as soon as the order is seen, and once more SERVER_STOP_NOTICE before a later one is due."""
    if left <= timedelta() or not is_to_be_told(tools, each, left):
        return False
    tools.store.note_order_told(each.id, tools.now())
    why = f": {printable(each.reason)}" if each.reason else "."
    deploying.tell_players(tools, WARNINGS[each.kind].format(say_length(left)) + why)
    return True


def is_to_be_told(tools: Tools, each: Order, left: timedelta) -> bool:
    notice = tools.realm.stop_notice
    return each.told_at is None or (left <= notice and each.told_at < each.due - notice)


def say_length(left: timedelta) -> str:
    """`90 seconds`, `20 minutes`, `3 hours`: as far as a player cares."""
    seconds = left.total_seconds()
    if seconds < 120:
        return f"{seconds:.0f} second{'' if round(seconds) == 1 else 's'}"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


def printable(text: str) -> str:
    """One line that no console takes for anything else."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


def note_wish(tools: Tools, want: Want, by: str, reason: str, restarts: int) -> None:
    """The keeper's wish is derived from it."""
    server = tools.store.get_fact(Fact.SERVER) or {}
    count = 1 + max(int(server.get("restart", 0)), restarts)
    tools.store.set_fact(Fact.SERVER, {**server, "want": want, "by": by, "reason": reason, "restart": count})


def count_restarts(tools: Tools) -> int:
    """With a new database the keeper's own count is ahead: what it has seen already would be no order to it."""
    previous = tools.keeper.desired()
    return previous.restart if previous else 0


def restart_now(tools: Tools, each: Order) -> None:
    """What was held since it was ordered stays held."""
    down = find_down(tools)
    if down is not None:
        return fail(tools, each, down.reason)
    data = {"what": "restarting", "detail": each.reason, "by": each.by}
    return wish_now(tools, each, Want.UP, [NewPost(PostKind.ORDER, data, to_channel=True, offers=True)])


def stop_now(tools: Tools, each: Order) -> None:
    """That it is down is told by the hold which the keeper reports."""
    wish_now(tools, each, Want.STOPPED)


def wish_now(tools: Tools, each: Order, want: Want, posts: Sequence[NewPost] = ()) -> None:
    """Saving takes a while, in which it can still be cancelled: it is over and done in one."""
    deploying.console_call(tools, "saveall")
    point("restart.saved")
    restarts = count_restarts(tools)
    with tools.store.together():
        if tools.store.end_order(each.id, "done", tools.now(), posts):
            why = each.reason or ("restart ordered" if want is Want.UP else "")
            note_wish(tools, want, each.by, why, restarts)
    point("restart.noted")


def roll_back_now(tools: Tools, each: Order) -> None:
    """What runs may have changed since it was ordered."""
    way = rolling_back.find_way_back(tools)
    if isinstance(way, Impossible) or way.running != each.about:
        return fail(tools, each, way.reason if isinstance(way, Impossible) else f"`{way.running[:12]}` runs by now.")
    deploying.console_call(tools, "saveall")
    news = rolling_back.describe_order(tools, way, each.by, each.reason)
    with tools.wishing, tools.store.together():
        if rolling_back.find_way_back(tools) != way:
            raise Overtaken("what runs has changed since: the rollback looks again")
        if tools.store.end_order(each.id, "done", tools.now()):
            rolling_back.begin_ordered(tools, way, each.by, each.reason, news)
    return None


def fail(tools: Tools, each: Order, why: str) -> None:
    data = {"what": f"{each.kind} failed", "detail": f"{why} Nothing was changed.", "by": each.by}
    posts = [NewPost(PostKind.ORDER, data, to_channel=True)]
    tools.store.end_order(each.id, "failed", tools.now(), posts, note=why)
