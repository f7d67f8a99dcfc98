"""The buttons of a card: approve, reject, deploy now, start."""

from __future__ import annotations

from bot import messages
from bot.commands import Desk, Order, Reply, settled
from pipeline.model import Actor


def approve(desk: Desk, run: str) -> Order:
    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.approve(run, by), lambda done: messages.approved(done, run, by))

    return Order("approve", run, work)


def reject(desk: Desk, run: str) -> Order:
    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.reject(run, by, ""), lambda done: messages.rejected(done, run, by))

    return Order("reject", run, work)


def deploy_now(desk: Desk, run: str) -> Order:
    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.deploy_now(run, by), lambda done: messages.deploying(done, run, by))

    return Order("deploy", run, work)


def start(desk: Desk) -> Order:
    async def work(by: Actor) -> Reply:
        return settled(await desk.orders.start_server(by), lambda done: messages.starting(done, by))

    return Order("start", "", work)
