"""How what the pipeline reported gets into the channel.

`bot/outbox.py` says when; here is each part of the work.

    cards.py        a message for each card, edited as its run goes its way, and its thread
    posts.py        news in the channel, details in the threads of cards; a deleted thread is opened again
    endings.py      answers and news whose buttons can no longer be pressed say so
    sending.py      one message is sent once: what may have arrived already is looked for by its mark
    rendering.py    the messages of what the ledger has, without secrets
    rests.py        what is left alone after a fault, for how long, and when people are told
    pace.py         how often Discord is asked for something
"""
