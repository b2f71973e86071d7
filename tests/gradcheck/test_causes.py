"""The causes: each has a kind, a title and a hint."""

from stnref.gradcheck import CAUSES
from stnref.gradcheck.causes import read_causes


def test_every_cause_is_complete() -> None:
    assert {cause.kind for cause in CAUSES.values()} == {
        "wrong gradient",
        "behaviour",
        "cannot check",
    }
    assert all(slug == cause.slug and cause.title and cause.hint for slug, cause in CAUSES.items())


def test_a_hint_of_several_lines() -> None:
    causes = read_causes("behaviour", "one: a title\n    a hint\n    goes on\ntwo: other\n    hint")
    assert causes["one"] == ("one", "a title", "a hint goes on", "behaviour")
    assert list(causes) == ["one", "two"]
