"""Where a result comes from is said with it."""

import pytest

from ganbalance.pipeline import provenance


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "here", provenance.here.__wrapped__)


def test_an_image_says_which_commit_it_was_built_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANBALANCE_COMMIT", "0123456789ab+")
    assert provenance.here()["git_commit"] == "0123456789ab+"


def test_a_checkout_is_asked_when_no_commit_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANBALANCE_COMMIT", "")
    monkeypatch.setattr(provenance, "_git_commit", lambda: "of the checkout")
    assert provenance.here()["git_commit"] == "of the checkout"


def test_where_there_is_no_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANBALANCE_COMMIT", raising=False)
    monkeypatch.setenv("PATH", "")
    assert provenance.here()["git_commit"] is None
