"""The three ways in which a file's content is kept, and how a repository is told which."""

from tests.repo import Repo

FORMS = ("unlocked", "locked", "text")


def adopt(form: str, *repos: Repo) -> None:
    """From now on, what a daemon adds in ``repos`` is kept so."""
    for repo in repos:
        if form == "locked":
            repo.config("annex.assistant.allowunlocked", "true")
            repo.config("annex.addunlocked", "false")
        elif form == "text":
            repo.config("annex.largefiles", "nothing")
        else:
            assert form == "unlocked", form
