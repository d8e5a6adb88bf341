"""Some times in a row, and then less often."""

from workers.pusher.allowance import LEAST_S, Allowance

NOW = 1000.0


def test_so_many_follow_each_other_and_then_no_more_than_one_at_a_time() -> None:
    allowance, now = Allowance(3, 2.0), NOW
    assert allowance.next_at < NOW
    for left in (2, 1):
        allowance.use(now)
        assert allowance.next_at == now + LEAST_S, left
        now += LEAST_S
    allowance.use(now)

    assert now + 1.0 < allowance.next_at <= now + 2.0  # a little was earned meanwhile


def test_in_the_long_run_they_are_as_rare_as_was_said() -> None:
    allowance, now, used = Allowance(3, 2.0), NOW, 0
    while now < NOW + 200.0:
        allowance.use(now)
        used += 1
        now = max(now, allowance.next_at)

    assert 99 <= used <= 103


def test_who_has_rested_may_do_so_many_again_and_not_more() -> None:
    allowance = Allowance(3, 2.0)
    for now in (NOW, NOW + 500.0, NOW + 500.3, NOW + 500.6):
        assert allowance.next_at <= now + 0.001
        allowance.use(now)

    assert allowance.next_at > NOW + 501.5
