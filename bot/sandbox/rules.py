"""What the sandbox allows: Discord's limits of time and rate, in one place. Sizes of texts are in limits.py."""

from dataclasses import dataclass


@dataclass
class Rules:
    """May be changed while the sandbox runs; each request looks at the present values."""

    first_answer: float = 3.0
    # seconds from an interaction to its first answer; later is 10062
    token_life: float = 900.0
    # seconds an interaction's token is good for; later is 50027
    nonce_window: float = 180.0
    # seconds within which a repeated nonce returns the first message
    message_limit: int = 5
    # sends, and apart from them edits, per channel and `message_period`
    message_period: float = 5.0
    # seconds
    global_limit: int = 50
    # requests with the bot's token per second, over all routes
    old_message_age: float = 3600.0
    # seconds after which an edit counts as an edit of an old message
    old_edits: int = 30
    # edits of old messages per channel and `old_edit_period`; one more is 30046. Discord does not publish the figure
    old_edit_period: float = 3600.0
    # seconds
    old_edit_retry_after: float = 0.1
    # seconds that a 30046 tells the client to wait; discord.py waits and tries five times before it raises
    heartbeat_interval: float = 41.25
    # seconds, told to the client in the hello
    patience: float = 8.0
    # seconds that `slash` and `click` wait for the answering message
    kept_messages: int = 2000
    # the oldest messages beyond this are forgotten
