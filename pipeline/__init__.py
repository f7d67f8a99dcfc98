"""The autonomous pipeline. Knows nothing of Discord.

    model.py read_models.py         the words as values, and what people see of them
    traces.py                       what the history of the source tells of a crash
    errors.py obstacles.py ports.py the errors, what a machine may put in the way, the seams
    moments.py                      a moment within a text that is kept
    keeper/                         the server's parent, a process of its own
    crash/                          reports -> CrashReport, signatures, context (pure)
    policy.py                       may this patch or restart proceed? (pure)
    tables.py store/ migrate.py     the database, as sentences
    adapters/                       git, builder, keeper client, consoles, watcher, analyst
    tools.py                        what a stage may use, and what it may answer
    stages/                         one state, one module: observe, then act
    intake.py history.py            events and responses come in; what is of no crash that we saw
    judging.py                      crashes are read and grouped: counted, or a run begins
    crash_reports.py backtraces.py  what a crash left, and what its thread says first
    runner.py housekeeping.py       runs and deployments advance; what has to be done now and then
    orders.py                       the desk: what people order (server_, run_, change_orders.py) and ask
    status_views.py card_views.py   what they see of the present: the whole, and one crash of a night, ...
    server_views.py run_views.py    ... each with the server, its runs, and the pages of commits (fix_links.py)
    plans.py records.py             what an order would do, and what was
    ledger.py                       what the outbox asks
    summary.py timeline.py          a night as people read it in the morning
    startup.py halts.py             why a server does not come up, or stands still
    outcomes.py                     what came of what was ordered
    life_logs.py                    the logs of the life that ended
    knowledge.py                    what is known of crashes, a user's own words first
    renamed_crashes.py              a new key that is a known crash, whose callers have other names now
    suspects.py                     who and what is suspected of a crash, before anybody analysed it
    regrouping.py                   which rules of grouping are in force, and how a change comes into force

The way of a run (`model.TRANSITIONS` is the same as data, and a test holds the two together):

    crash report -> signature -> being worked on, tries used up, its fix is not in the crashing binary, or only a build
                                 that is taken back for it ever had it: counted
                              -> else a run:

    ANALYZING -> READY -> PATCHING -> BUILDING -> PUBLISHING -> AWAITING_DEPLOYMENT -> DEPLOYING -> VERIFYING
       |  ^                  |            |                            |                               |
       |  +------------------+------------+ at most twice in all       |                               +-> SUCCEEDED
       +-> PROPOSED                                           AWAITING_APPROVAL                        +-> FAILED
                                                                                    ROLLING_BACK <-----+
    CANCELLED: an operator rejected it                                                   +-> ROLLED_BACK
"""
