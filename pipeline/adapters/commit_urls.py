"""The page of a commit, and of a branch against a commit, from the address of the remote. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]{2,}):(?!//)(?P<path>[^\s]+)")


def commit_url(remote: str | None, template: str | None, commit: str) -> str | None:
    """The address of a commit's page, without any credentials; None where the remote has no pages.

    `template` (SOURCE_COMMIT_URL) holds `{commit}` and wins over what the remote's address tells.
    """
    template = template or (derive_template(remote) if remote else None)
    return template.replace("{commit}", commit) if template else None


def compare_url(remote: str | None, base: str, branch: str) -> str | None:
    """The address of the page with all that `branch` has above `base`; None where the remote has no pages."""
    place = _parse(remote) if remote else None
    if place is None:
        return None
    scheme, host, path = place
    if host == "bitbucket.org":
        page = f"branches/compare/{branch}%0D{base}"
    else:
        page = f"{'-/' if 'gitlab' in host else ''}compare/{base}...{branch}"
    return f"{scheme}://{host}/{quote(path, safe='/~._-+')}/{page}"


def derive_template(remote: str) -> str | None:
    """`https://host/owner/name/commit/{commit}`, in the form that the host uses; None for a local remote."""
    place = _parse(remote)
    if place is None:
        return None
    scheme, host, path = place
    return f"{scheme}://{host}/{quote(path, safe='/~._-+')}/{_page(host, path)}/{{commit}}"


def _parse(remote: str) -> tuple[str, str, str] | None:
    """Scheme, host (with the port of a web server only), path without `.git`."""
    if "://" in remote:
        try:
            parts = urlsplit(remote)
            port = parts.port
        except ValueError:
            return None
        web = parts.scheme in ("http", "https")
        if not web and parts.scheme not in ("ssh", "git", "git+ssh"):
            return None
        host = (parts.hostname or "") + (f":{port}" if web and port else "")
        return _clean(parts.scheme if web else "https", host, parts.path)
    if found := _SCP.fullmatch(remote):
        return _clean("https", found["host"].lower(), found["path"])
    return None


def _clean(scheme: str, host: str, path: str) -> tuple[str, str, str] | None:
    path = path.strip("/").removesuffix(".git").rstrip("/")
    if not path or not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?|localhost(:\d+)?", host):
        return None  # a name without a dot is an alias of the user's ssh configuration
    return scheme, host, path


def _page(host: str, path: str) -> str:
    if "gitlab" in host:
        return "-/commit"
    if host == "bitbucket.org":
        return "commits"
    return "commit"  # GitHub, Gitea, Forgejo; GitLab under another name redirects
