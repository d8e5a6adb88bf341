"""The transferrer: takes jobs from the queue and moves contents, one remote at a time."""
