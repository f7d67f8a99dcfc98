"""The guild, its people and its channels as Discord's JSON (developer docs, resources User, Guild, Channel). Pure."""

from datetime import UTC, datetime

from bot.sandbox.errors import Json
from bot.sandbox.guild import Channel, Guild, Role, User

TEXT_CHANNEL, PUBLIC_THREAD = 0, 11


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def show_user(user: User) -> Json:
    shown: Json = {"id": user.id, "username": user.name.lower().replace(" ", "_"), "discriminator": "0", "avatar": None}
    return (
        shown
        | {"global_name": user.name, "public_flags": 0, "flags": 0, "primary_guild": None}
        | ({"bot": True} if user.bot else {})
    )


def show_own_user(user: User) -> Json:
    private: Json = {"mfa_enabled": True, "locale": "en-US", "verified": True, "email": None}
    return show_user(user) | private


def show_member_without_user(guild: Guild, user: User) -> Json:
    joined = iso(guild.channels[guild.channel_id].created if guild.channel_id in guild.channels else 0.0)
    about: Json = {
        "roles": list(user.roles),
        "joined_at": joined,
        "nick": None,
        "avatar": None,
        "banner": None,
        "flags": 0,
    }
    return about | {"deaf": False, "mute": False, "pending": False, "premium_since": None} | _no_timeout()


def _no_timeout() -> Json:
    return {"communication_disabled_until": None}


def show_member(guild: Guild, user: User) -> Json:
    return show_member_without_user(guild, user) | {"user": show_user(user)}


def show_role(role: Role) -> Json:
    colours: Json = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
    looks: Json = {"color": 0, "colors": colours, "hoist": False, "icon": None, "unicode_emoji": None, "flags": 0}
    kind: Json = {"managed": role.name == "Spirit Healer", "mentionable": True, "description": None}
    return (
        {"id": role.id, "name": role.name, "permissions": str(role.permissions), "position": role.position}
        | looks
        | kind
    )


def show_channel(guild: Guild, channel: Channel) -> Json:
    return _show_text_channel(guild, channel) if channel.parent is None else _show_thread(guild, channel)


def _show_text_channel(guild: Guild, channel: Channel) -> Json:
    place: Json = {"id": channel.id, "type": TEXT_CHANNEL, "guild_id": guild.id, "name": channel.name, "position": 0}
    rules: Json = {
        "permission_overwrites": [],
        "parent_id": None,
        "topic": None,
        "nsfw": False,
        "rate_limit_per_user": 0,
    }
    return place | rules | {"last_message_id": _last_message(guild, channel.id), "flags": 0}


def _show_thread(guild: Guild, thread: Channel) -> Json:
    posts = sum(message.channel == thread.id for message in guild.messages.values())
    place: Json = {
        "id": thread.id,
        "type": PUBLIC_THREAD,
        "guild_id": guild.id,
        "parent_id": thread.parent,
        "name": thread.name,
    }
    counts: Json = {
        "message_count": posts,
        "member_count": 1,
        "total_message_sent": posts,
        "rate_limit_per_user": 0,
        "flags": 0,
    }
    joined: Json = {"id": thread.id, "user_id": guild.bot.id, "join_timestamp": iso(thread.created), "flags": 0}
    owner: Json = {"owner_id": guild.bot.id, "member": joined, "last_message_id": _last_message(guild, thread.id)}
    return place | counts | owner | {"thread_metadata": _show_archiving(thread)}


def _show_archiving(thread: Channel) -> Json:
    since: Json = {"archive_timestamp": iso(thread.created), "create_timestamp": iso(thread.created)}
    return since | {"archived": thread.archived, "locked": thread.locked, "auto_archive_duration": thread.archive_after}


def _last_message(guild: Guild, channel_id: str) -> str | None:
    newest_first = reversed(guild.messages.values())
    return next((message.id for message in newest_first if message.channel == channel_id), None)


def show_guild(guild: Guild) -> Json:
    """The part that REST and the gateway share."""
    names: Json = {
        "id": guild.id,
        "name": "Spirit Healer sandbox",
        "owner_id": guild.operator.id,
        "preferred_locale": "en-US",
    }
    nothing: Json = {"icon": None, "description": None, "home_header": None, "splash": None, "discovery_splash": None}
    nothing |= {"features": [], "banner": None, "application_id": None, "region": "", "afk_channel_id": None}
    nothing |= {"public_updates_channel_id": None, "rules_channel_id": None, "safety_alerts_channel_id": None}
    nothing |= {"system_channel_id": None, "vanity_url_code": None, "widget_channel_id": None, "widget_enabled": False}
    nothing |= {
        "emojis": [],
        "stickers": [],
        "hub_type": None,
        "latest_onboarding_question_id": None,
        "incidents_data": None,
    }
    levels: Json = {
        "afk_timeout": 300,
        "system_channel_flags": 0,
        "verification_level": 0,
        "explicit_content_filter": 0,
    }
    levels |= {
        "default_message_notifications": 1,
        "mfa_level": 0,
        "nsfw": False,
        "nsfw_level": 0,
        "max_members": 500_000,
    }
    levels |= {"premium_tier": 0, "premium_subscription_count": 0, "premium_progress_bar_enabled": False}
    levels |= {"max_presences": None, "max_video_channel_users": 25, "max_stage_video_channel_users": 50}
    return names | nothing | levels | {"roles": [show_role(role) for role in guild.roles.values()]}


def show_guild_create(guild: Guild) -> Json:
    """What GUILD_CREATE carries beyond the guild itself."""
    rooms = [channel for channel in guild.channels.values() if channel.parent is None]
    threads = [channel for channel in guild.channels.values() if channel.parent is not None and not channel.archived]
    members = [show_member(guild, user) for user in guild.users]
    people: Json = {"members": members, "member_count": len(members), "large": False, "unavailable": False}
    places: Json = {
        "channels": [show_channel(guild, room) for room in rooms],
        "threads": [show_channel(guild, t) for t in threads],
    }
    nothing: Json = {
        "presences": [],
        "voice_states": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }
    return show_guild(guild) | people | places | nothing | {"joined_at": members[0]["joined_at"]}


def show_members_chunk(guild: Guild, asked: Json) -> Json:
    """GUILD_MEMBERS_CHUNK: those of `user_ids` (one or several) that are members."""
    ids = asked.get("user_ids") or []
    wanted = [str(each) for each in (ids if isinstance(ids, list) else [ids])]
    found = [show_member(guild, user) for user in guild.users if user.id in wanted]
    missing = [each for each in wanted if each not in {user.id for user in guild.users}]
    parts: Json = {"chunk_index": 0, "chunk_count": 1, "nonce": asked.get("nonce")}
    return {"guild_id": guild.id, "members": found, "not_found": missing} | parts


# What the specification demands of an application beside its names; nobody here looks at it.
_APPLICATION: Json = {
    "icon": None,
    "description": "",
    "type": None,
    "verify_key": "0" * 64,
    "bot_public": False,
    "bot_require_code_grant": False,
    "flags": 0,
    "flags_new": "0",
    "max_participants": None,
    "redirect_uris": [],
    "interactions_endpoint_url": None,
    "role_connections_verification_url": None,
    "approximate_guild_count": 1,
    "approximate_user_install_count": 0,
    "explicit_content_filter": 0,
    "summary": "",
    "creator_monetization_state": 1,
    "storefront_available": False,
    "is_monetized": False,
    "is_verified": False,
    "is_discoverable": False,
    "discoverability_state": 1,
    "discovery_eligibility_flags": 0,
    "internal_guild_restriction": 1,
    "integration_public": False,
    "integration_require_code_grant": False,
    "interactions_event_types": [],
    "interactions_version": 1,
    "rpc_application_state": 0,
    "store_application_state": 1,
    "verification_state": 1,
    "approximate_user_authorization_count": 0,
    "eligible_oauth2_scopes": [],
    "event_webhooks_status": 1,
    "event_webhooks_types": [],
    "monetization_state": 1,
    "monetization_eligibility_flags": 0,
    "team": None,
}


def show_application(guild: Guild) -> Json:
    names = {"id": guild.bot.id, "name": guild.bot.name}
    return _APPLICATION | names | {"bot": show_user(guild.bot), "owner": show_user(guild.operator)}
