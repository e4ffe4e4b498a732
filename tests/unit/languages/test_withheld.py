import pytest

from noether_runner.languages.withheld import hint, named_in_source

NAMES = ("GITHUB_TOKEN", "API_KEY", "EDITOR")


@pytest.mark.parametrize(
    "code",
    [
        "os.environ['GITHUB_TOKEN']",
        'os.environ.get("GITHUB_TOKEN", "")',
        "os.getenv('GITHUB_TOKEN')",
        "from os import getenv as read\nread('GITHUB_TOKEN')",
        "token = os.environ[input.get('token_env', 'GITHUB_TOKEN')]",
    ],
)
def test_python(code: str) -> None:
    assert named_in_source("python", code, NAMES) == ("GITHUB_TOKEN",)


@pytest.mark.parametrize(
    "code",
    [
        "process.env.GITHUB_TOKEN",
        "process.env['GITHUB_TOKEN']",
        'process.env["GITHUB_TOKEN"]',
        "process.env?.GITHUB_TOKEN",
        "const { GITHUB_TOKEN, PATH } = process.env;",
        "const {GITHUB_TOKEN: token} = process.env",
    ],
)
def test_javascript(code: str) -> None:
    assert named_in_source("javascript", code, NAMES) == ("GITHUB_TOKEN",)


@pytest.mark.parametrize(
    "code",
    [
        "echo $GITHUB_TOKEN",
        'x="${GITHUB_TOKEN:-none}"',
        "${#GITHUB_TOKEN}",
        "printenv GITHUB_TOKEN",
    ],
)
def test_bash(code: str) -> None:
    assert named_in_source("bash", code, NAMES) == ("GITHUB_TOKEN",)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "print('GITHUB_TOKEN')"),
        ("python", "# os.environ holds GITHUB_TOKEN"),
        ("javascript", "const x = 'GITHUB_TOKEN'; process.env.OTHER"),
        ("bash", "echo GITHUB_TOKEN"),
        ("bash", "echo $GITHUB_TOKENS"),
    ],
)
def test_a_name_that_is_not_read(language: str, code: str) -> None:
    assert named_in_source(language, code, NAMES) == ()


def test_the_sentence_shows_the_line_to_add() -> None:
    sentence = hint(("API_KEY", "GITHUB_TOKEN"))
    assert '"pass_env": ["API_KEY", "GITHUB_TOKEN"]' in sentence
    assert "--pass-env API_KEY --pass-env GITHUB_TOKEN" in sentence
    assert hint(()) == ""
