"""How often workers may die before the next one must wait."""

from portico.workers.intensity import Intensity


def storm(intensity: Intensity, at: float) -> tuple[int, float] | None:
    """Eleven deaths at one moment; what the last one brings."""
    return [intensity.died(at) for _ in range(11)][-1]


def test_ten_deaths_in_ten_seconds_are_borne():
    """Replacement is at once while deaths are rare."""
    intensity = Intensity()

    assert [intensity.died(1.1 * at) for at in range(100)] == [None] * 100
    assert intensity.until == 0.0


def test_the_eleventh_death_makes_the_agent_wait():
    """It says how many died and for how long none is started."""
    intensity = Intensity()

    assert storm(intensity, 5.0) == (11, 1.0)
    assert intensity.until == 6.0


def test_the_wait_doubles_up_to_half_a_minute():
    """Storm after storm."""
    intensity = Intensity()
    waits = []
    for _ in range(7):
        _, seconds = storm(intensity, intensity.until) or (0, 0.0)
        waits.append(seconds)

    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_two_quiet_minutes_make_the_wait_short_again():
    """An agent that was repaired is not punished for its past."""
    intensity = Intensity()
    storm(intensity, 0.0)
    storm(intensity, intensity.until)

    assert storm(intensity, intensity.until + 121) == (11, 1.0)
