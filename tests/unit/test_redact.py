"""No secret gets through, and what is needed to work with stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import redact as module
from pipeline.redact import Redactor, redact

DISCORD = "MTIzNDU2Nzg5MDEyMzQ1Njc4" + ".GabcDe." + "aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('LoginDatabaseInfo     = "127.0.0.1;3306;trinity;hunter2;auth"', "hunter2"),
        ("TC_WORLD_DATABASE_INFO=localhost;3306;trinity;p@ss=w0rd;world", "p@ss=w0rd"),
        ("Opening 127.0.0.1;/var/run/mysqld.sock;trinity;hunter2;auth now", "hunter2"),
        ("remote: https://bot:hunter2@git.example/x.git", "hunter2"),
        ("remote: https://0123456789abcdef0123@git.example/x.git", "0123456789abcdef0123"),
        ("Authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
        ('{"Authorization": "Bot abcdefgh"}', "abcdefgh"),
        ("-H 'authorization=Bearer abc.def-ghi_jkl'", "abc.def-ghi_jkl"),
        (f"logged in with {DISCORD} as", DISCORD),
        ("https://discord.com/api/webhooks/123456789012345678/abcdefGHIJKL_-xyz0", "abcdefGHIJKL_-xyz0"),
        ("key ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("glpat-abcdefghij0123456789", "glpat-abcdefghij0123456789"),
        ("OPENAI sk-abcdefghijklmnopqrstuvwx", "sk-abcdefghijklmnopqrstuvwx"),
        ("SERVER_CONSOLE_PASSWORD=hunter2", "hunter2"),
        ("password: 'two words'", "two words"),
        ('"api_key": "abc123def"', "abc123def"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----", "b3Blbn"),
        ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nb3Blbn\n-----END RSA PRIVATE KEY-----", "b3Blbn"),
        ("------BEGIN EC PRIVATE KEY-----\n-b3Blbn\n------END EC PRIVATE KEY-----", "b3Blbn"),
        ("b3Blbn\nAAAAA\n-----END PRIVATE KEY-----\nand more", "b3Blbn"),
        ("Player ANN (ann@example.com) logs in", "ann@example.com"),
        ("Player ANN logs in from 203.0.113.9:51122", "203.0.113.9"),
        ("Player ANN logs in from 2001:db8:0:1::7", "2001:db8:0:1::7"),
    ],
)
def test_what_looks_like_a_secret_is_struck_out(text: str, secret: str) -> None:
    clean = redact(text)
    assert secret not in clean
    assert redact(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "fix a1b2c3d4e5f60718293a4b5c6d7e8f9012345678 in src/server/game/Auth/TokenStore.cpp:12",
        "EventDispatcher::UnsubscribeAll | QuestManager::~QuestManager at C:\\src\\Quest.cpp:106",
        "std::string password = GetPassword();",
        "Token::Parse(token) and Secret::value",
        "port 127.0.0.1:8085 is in use, 192.168.1.10 is not this machine, version 3.3.5.12340",
        "git@github.com:owner/repository.git",
        "access violation | worldserver+6d062a | worldserver+7ce0e1",
        "12:30:45 std::beef::a 2024::x",
        "for (int i = 0; i < 3; ++i) { a;b;c;d; }",
    ],
)
def test_what_is_needed_to_work_stays(text: str) -> None:
    assert redact(text) == text


def test_known_values_are_struck_out_in_every_form_they_take() -> None:
    redactor = Redactor(["pa/ss:word+1", 'quo"te\\d', "pa/ss:word+1-and-more", "", "abc"])
    assert redactor("x pa/ss:word+1 y") == "x *** y"
    assert redactor("https://h/?p=pa%2Fss%3Aword%2B1") == "https://h/?p=***"
    assert redactor('{"a": "quo\\"te\\\\d"}') == '{"a": "***"}'
    assert redactor("pa/ss:word+1-and-more") == "***"
    assert (
        redactor("abc stays, it is too short to be told from words")
        == "abc stays, it is too short to be told from words"
    )


def test_a_known_value_of_several_lines_is_known_by_each_of_them() -> None:
    redactor = Redactor(
        ["-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\nBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----"]
    )
    assert redactor("read BKcwggSjAgEAAoIBAQC7 of it") == "read *** of it"
    assert redactor("-----BEGIN CERTIFICATE-----") == "-----BEGIN CERTIFICATE-----"


def test_a_traceback_is_cleaned_line_by_line_and_as_a_whole() -> None:
    text = "Traceback:\n  File x\nConnectionError: https://u:hunter2@h/\n  password=hunter2 user=ann"
    clean = Redactor(["hunter2"])(text)
    assert "hunter2" not in clean
    assert clean.count("\n") == text.count("\n")


def test_long_hostile_texts_are_read_in_linear_time() -> None:
    redactor = Redactor(["hunter2hunter2"])
    for part in (
        "a;",
        "://a:",
        "password=",
        "a@a.",
        "1.",
        "-----BEGIN PRIVATE KEY-----",
        "x_",
        "token_",
        "eyJ-",
        "password=" + "a" * 990 + "(",
        "-----BEGIN PRIVATE KEY-----a-",
        "a-",
        "authorization:",
        "2001:",
    ):
        redactor(part * (200_000 // len(part)))


WORDS = (
    "hunter2hunter2", "password=", '"two words"', " ", "\n", "a;1;b;c;d", DISCORD, "https://u:v@h/", "ann@example.com",
    "-----BEGIN PRIVATE KEY-----", "b3Blbn", "-----END PRIVATE KEY-----", "203.0.113.9", "GetPassword()",
    "eyJhbGciOiJI.",
)  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=40).map("".join), st.integers(1, 60))
def test_a_long_text_is_looked_at_in_blocks_and_struck_as_one(text: str, block: int) -> None:
    redactor = Redactor(["hunter2hunter2"])
    whole = redactor(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        assert redactor(text) == whole


@given(
    st.text(max_size=500),
    st.lists(st.text(min_size=4, max_size=20).map(str.strip).filter(lambda s: len(s) >= 4), max_size=3),
)
def test_no_text_raises_and_no_known_value_survives(text: str, secrets: list[str]) -> None:
    clean = Redactor(secrets)(text + "".join(f" {secret} " for secret in secrets))
    assert not any(f" {secret} " in clean for secret in secrets if secret not in "***")
