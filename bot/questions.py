"""What is asked before an order is carried out: what it will do, as far as that is known, and what else goes with it.

Pure functions. The answers to what was ordered are in messages.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from bot.limits import DIALOGUE_TITLE, cut_middle
from bot.markup import ago, begin_sentence, code, count, duration, is_ours, name_build, plain, prose, short
from bot.needs import name_change
from bot.payloads import Button, Message, Style
from pipeline.read_models import RestartPlan, RevertPlan, RollbackPlan, TakenOut, UpdatePlan


def ask_revert(plan: RevertPlan) -> Message:
    fix = f"{code(short(plan.commit))} *{plain(plan.subject)}*"
    watched = "It is still being verified: the revert waits for that. " if plan.verifying else ""
    effect = f"; the server goes down{_outage(plan.down_seconds, plan.players)}."
    if plan.down:
        effect = f". {prose(plan.down)} It goes live with the next start."
    if plan.puts_back:
        why = f" It was taken out: {prose(plan.why)}." if plan.why else ""
        again = f"{watched}Builds and deploys it again{effect}"
        text = f"**Put back** what {fix} took out?{why} {again}"
    else:
        text = f"Revert {fix}? {watched}Builds and deploys the branch without it{effect}"
        if plan.of_crash:
            text += "\nWhen its crash comes again, another fix is asked for; the same change goes nowhere unasked."
    buttons = (
        Button("Put back" if plan.puts_back else "Revert", f"confirm-revert:{plan.commit}", Style.DANGER),
        Button("Keep", f"keep:{plan.commit}"),
    )
    return Message(content=text, buttons=buttons)


def ask_restart(plan: RestartPlan, delay: timedelta, reason: str) -> Message:
    when = "now" if not delay else f"in {duration(delay.total_seconds())}"
    down = [prose(plan.down)] if plan.down else []
    lines = [
        *_halted(plan.halted),
        *down,
        f"Restart the server {when}? It goes down{_outage(plan.down_seconds, plan.players)}.",
        *_list_terms(plan, "It brings with it", reason),
    ]
    confirm = f"restart:{int(delay.total_seconds())}:{reason}"
    buttons = (Button("Restart", confirm, Style.DANGER), Button("Keep running", "keep:restart"))
    return Message(content="\n".join(lines), buttons=buttons)


def ask_stop(plan: RestartPlan, delay: timedelta, reason: str) -> Message:
    if plan.down:
        return _ask_to_keep_down(plan, reason)
    when = "now" if not delay else f"in {duration(delay.total_seconds())}"
    online = f" ({count(plan.players, 'player')})" if plan.players is not None else ""
    lines = [
        *_halted(plan.halted),
        f"Stop the server {when}{online}? **It stays down until** `/start-server`**, whatever happens.**",
        *_list_terms(plan, "Its next start brings with it", reason),
    ]
    confirm = f"stop:{int(delay.total_seconds())}:{reason}"
    buttons = (Button("Stop", confirm, Style.DANGER), Button("Keep running", "keep:stop"))
    return Message(content="\n".join(lines), buttons=buttons)


def _ask_to_keep_down(plan: RestartPlan, reason: str) -> Message:
    keep = f"{prose(plan.down)} **Keep it down until** `/start-server`**, whatever happens?**"
    lines = [*_halted(plan.halted), keep]
    if reason:
        lines.append(f"Reason: {plain(reason)}")
    buttons = (Button("Keep it down", f"stop:0:{reason}", Style.DANGER), Button("Leave it", "keep:stop"))
    return Message(content="\n".join(lines), buttons=buttons)


def _list_terms(plan: RestartPlan, brings: str, reason: str) -> Iterator[str]:
    if plan.due:
        yield prose(plan.due)
    if plan.brings:
        yield f"{brings}: " + ", ".join(f"*{plain(each)}*" for each in plan.brings[:5])
    if reason:
        yield f"Reason: {plain(reason)}"


def _halted(why: str) -> list[str]:
    return [f"**{begin_sentence(prose(why))}.** Until then this order would only wait."] if why else []


def ask_rollback(plan: RollbackPlan, reason: str) -> Message:
    since = f", healthy {ago(plan.healthy_at)}" if plan.healthy_at is not None and is_ours(plan.target) else ""
    watched = "What runs is still being verified. " if plan.verifying else ""
    notice = f" in {duration(plan.notice)}" if plan.notice else ""
    lines = [
        *_halted(plan.halted),
        f"Roll back from {name_build(plan.running)} to {name_build(plan.target, plan.target_commit)}{since}? {watched}"
        + (
            f"{prose(plan.down)} Its next start is with the older build."
            if plan.down
            else f"The server goes down{notice}{_outage(plan.down_seconds, plan.players)}."
        ),
        *_passed(plan.passed),
        f"Taken back: {_list_taken(plan.taken)}. The branch gets the reverts, and **the pipeline pauses itself**"
        " until `/resume`.",
    ]
    if plan.out:
        kept = "The branch keeps it; its next build brings it back"
        lines.append(f"**Not in it either:** {_list_taken(plan.out)}. {kept}.")
    if reason:
        lines.append(f"Reason: {plain(reason)}")
    confirm = f"roll-back:{short(plan.running)}:{reason}"
    buttons = (Button("Roll back", confirm, Style.DANGER), Button("Keep", "keep:rollback"))
    return Message(content="\n".join(lines), buttons=buttons)


@dataclass(frozen=True)
class Asked:
    """The words of a dialogue, without markup. Discord takes 45 characters of title and label, 100 of the rest."""

    title: str
    label: str
    description: str
    placeholder: str


def ask_why(run: str, about: str) -> Asked:
    """Before a change is rejected; `about` = the name of its card's thread, "" = it has none."""
    title = cut_middle(f"Reject: {about}" if about else f"Reject run {run}", DIALOGUE_TITLE)
    becomes = "It stands on the card, and the analyst reads it at /retry."
    return Asked(title, "Why", becomes, "May be left empty")


def ask_update(plan: UpdatePlan) -> Message:
    onto = f"into {code(plan.branch)}" if plan.branch else f"onto {code(short(plan.here))}, on a new night branch"
    comes = "1 commit comes with it" if plan.commits == 1 else f"{plan.commits} commits come with it"
    lines = [
        f"Move the base to {code(short(plan.head))}? It is {_name_base(plan)}, committed"
        f" {ago(plan.committed_at)}; its remote was not asked, `git pull` there brings what is newer.",
        f"{comes[:1].upper()}{comes[1:]}, merged {onto}, built and deployed; it merges without a"
        f" conflict. {_say_outage(plan)}",
        *(f"- {code(short(commit))} {plain(cut_middle(subject, 90))}" for commit, subject in plan.subjects),
    ]
    if plan.commits > len(plan.subjects):
        lines.append(f"and {plan.commits - len(plan.subjects)} more")
    buttons = (
        Button("Update", f"confirm-update:{plan.head}", Style.DANGER),
        Button("Keep", f"keep:{short(plan.head)}"),
    )
    return Message(content="\n".join(lines), buttons=buttons)


def _name_base(plan: UpdatePlan) -> str:
    if plan.base is None:
        return f"what the checkout {code(plan.checkout)} stands at, on no branch"
    return f"the head of {code(plan.base)} in the checkout {code(plan.checkout)}"


def _say_outage(plan: UpdatePlan) -> str:
    if plan.down:
        return f"{prose(plan.down)} It goes live with the next start."
    return f"The server goes down{_outage(plan.down_seconds, plan.players)}."


def _list_taken(taken: tuple[TakenOut, ...]) -> str:
    shown = ", ".join(f"{name_change(each.subject, each.kind)} ({code(short(each.commit))})" for each in taken[:5])
    return shown + (f" and {len(taken) - 5} more" if len(taken) > 5 else "") or "no fix"


def _passed(builds: tuple[str, ...]) -> list[str]:
    """Why it does not go back to the newest that was healthy."""
    if not builds:
        return []
    shown = ", ".join(map(name_build, builds[:5]))
    more = f" and {len(builds) - 5} more" if len(builds) > 5 else ""
    return [f"Passed over, as healthy, but with what was reverted since: {shown}{more}."]


def _outage(down_seconds: float | None, players: int | None) -> str:
    down = f" for about {duration(down_seconds)}" if down_seconds is not None else ""
    online = f" ({count(players, 'player')})" if players is not None else ""
    return down + online
