"""Somebody busy in a work tree, by a seed, who remembers what there is left."""

import random

from tests.repo import Repo


class Hands:
    """Somebody busy in a work tree, who remembers what there is left."""

    def __init__(self, repo: Repo, seed: int) -> None:
        self.chance = random.Random(seed)
        self.repo = repo
        self.left: dict[str, bytes] = {}
        self.seed = seed

    def act(self, number: int) -> None:
        """One operation.  Deletions are few: twenty at once would be held for a person's word."""
        kind = self.chance.choices(["add", "edit", "rename", "delete"], [8, 6, 4, 1])[0]
        if kind == "add" or not self.left:
            self.write(f"{self.chance.randrange(9)}/{self.repo.path.name} {number}", number)
            return
        name = self.chance.choice(sorted(self.left))
        if kind == "edit":
            self.write(name, number)
        elif kind == "rename":
            self.repo.rename(name, f"renamed/{self.repo.path.name} {number}")
            self.left[f"renamed/{self.repo.path.name} {number}"] = self.left.pop(name)
        else:
            self.repo.remove(name)
            del self.left[name]

    def write(self, name: str, number: int) -> None:
        content = f"{self.seed}.{number} ".encode() * self.chance.choice([1, 100, 50_000])
        self.repo.replace(name, content)
        self.left[name] = content
