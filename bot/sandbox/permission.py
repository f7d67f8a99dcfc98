"""The permission bits that matter to a bot which posts (Discord developer docs, topic "Permissions")."""

from enum import IntFlag


class Permission(IntFlag):
    """Bits as Discord numbers them."""

    NONE = 0
    ADMINISTRATOR = 1 << 3
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    SEND_MESSAGES_IN_THREADS = 1 << 38


EVERYONE = Permission.VIEW_CHANNEL | Permission.READ_MESSAGE_HISTORY | Permission.USE_APPLICATION_COMMANDS
OPERATOR = EVERYONE | Permission.SEND_MESSAGES
BOT = (
    EVERYONE
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.MENTION_EVERYONE
    | Permission.MANAGE_THREADS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
)
