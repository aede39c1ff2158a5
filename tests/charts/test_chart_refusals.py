"""Every refusal in a chart's templates is covered by a test of that chart."""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.charts.chart import every_chart

SENTENCE = re.compile(r'\bfail (?:\(printf )?"((?:[^"\\]|\\.)*)"')
# A refusal for several settings has its setting as an argument of its own.
SETTING = re.compile(r'(?<!include )"(\w+(?:\.\w+)+)"')


def templates(chart: Path) -> str:
    """Return all templates of a chart, concatenated."""
    return "\n".join(each.read_text() for each in sorted((chart / "templates").rglob("*.*")))


def expected(chart: Path) -> list[str]:
    """Return the messages that the chart's unit tests expect literally."""
    suites = [yaml.safe_load(each.read_text()) for each in (chart / "tests").glob("*_test.yaml")]
    assertions: list[dict[str, Any]] = [
        assertion for suite in suites for test in suite["tests"] for assertion in test["asserts"]
    ]
    failures = [each["failedTemplate"] for each in assertions if "failedTemplate" in each]
    return [each["errorMessage"] for each in failures if "errorMessage" in each]


def pattern(sentence: str) -> str:
    """Return a pattern for a printf sentence, with a word or a list in its placeholders."""
    return re.escape(sentence).replace("%s", r"\S+(?:, \S+)*").replace("%d", r"\d+")


@every_chart
def test_every_sentence_is_one_that_a_test_expects(chart: Path) -> None:
    text, messages = templates(chart), expected(chart)
    sentences = SENTENCE.findall(text)
    assert len(sentences) == len(re.findall(r"{{-? *fail\b", text)), "a sentence was not found"
    assert [
        sentence
        for sentence in sentences
        if not any(re.fullmatch(pattern(sentence), message) for message in messages)
    ] == []


@every_chart
def test_every_setting_that_a_sentence_may_be_about_is_one_in_a_test(chart: Path) -> None:
    settings = set(SETTING.findall((chart / "templates/preconditions.yaml").read_text()))
    messages = expected(chart)
    assert {each for each in settings if not any(each in message for message in messages)} == set()


@every_chart
def test_a_refusal_is_one_sentence(chart: Path) -> None:
    for sentence in SENTENCE.findall(templates(chart)):
        assert re.fullmatch(r"(?!.*\. ).+\.", sentence), sentence
