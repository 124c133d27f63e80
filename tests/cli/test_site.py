"""`init`, `check` and `test`: a site before it runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from portico.cli import exits, init


async def test_the_scaffold_passes_its_own_checks(portico, site):
    """A newcomer's first two commands succeed."""
    checked = await portico("check", "--site", site)
    tested = await portico("test", "--site", site)

    assert (checked.code, checked.out) == (exits.OK, "nothing to report\n")
    assert tested.code == exits.OK, tested.out
    assert tested.out.endswith("2 passed, 0 failed\n")


def test_the_scaffolds_transform_passes_its_own_test(site):
    """With plain pytest, as the scaffold says."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "transforms/tests"],
        cwd=site,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout


async def test_init_writes_nothing_into_a_folder_that_is_not_empty(portico, tmp_path):
    """Nobody's file is overwritten."""
    (tmp_path / "mine").write_text("mine")
    done = await portico("init", tmp_path)

    assert done.code == exits.FAILED
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_scaffold_holds_python_only_as_text():
    """Files of the package that end in .py would be taken for code of ours."""
    files = init.files()

    assert "transforms/names.py" in files and ".gitignore" in files
    assert not any(name.endswith(".txt") for name in files)
    folder = Path(init.__file__).with_name("scaffold")
    assert list(folder.rglob("*.py")) == []


def break_site(site):
    """One unknown key, on a line we know."""
    path = site / "channels/admissions.yaml"
    path.write_text(path.read_text().replace("summary: One file", "sumary: One file"))
    lines = path.read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.startswith("sumary"))


async def test_check_names_file_line_and_what_would_be_right(portico, site):
    """The form that editors and people know."""
    line = break_site(site)
    done = await portico("check", "--site", site)

    assert done.code == exits.FAILED
    assert f"channels/admissions.yaml:{line} sumary" in done.out
    assert "summary" in done.out


async def test_check_speaks_to_programs(portico, site):
    """JSON, and annotations of a change."""
    line = break_site(site)
    found = (await portico("check", "--site", site, "--json")).json
    notes = (await portico("check", "--site", site, "--github")).out

    assert (found[0]["path"], found[0]["line"]) == ("channels/admissions.yaml", line)
    assert f"::error file=channels/admissions.yaml,line={line}" in notes


async def test_check_explains_every_setting(portico, site):
    """Defaults too."""
    done = await portico("check", "--site", site, "--explain")

    assert done.code == exits.OK
    assert "unmatched: drop" in done.out


async def test_check_prints_schemas(portico):
    """And says which there are."""
    schema = json.loads((await portico("check", "--schema", "channel")).out)
    unknown = await portico("check", "--schema", "chanel")

    assert schema["$schema"].endswith("2020-12/schema")
    assert unknown.code == exits.USAGE and "channel, agent" in unknown.err


async def test_check_finds_names_in_cases_that_lead_nowhere(portico, site):
    """A case of a channel that was renamed would never run."""
    path = site / "channels/admissions.test.yaml"
    text = path.read_text().replace("channel: admissions", "channel: admission")
    path.write_text(text.replace("given:", "steps: {nmaes: {fails: permanent}}\ngiven:", 1))
    done = await portico("check", "--site", site)

    assert done.code == exits.FAILED
    assert "there is no channel 'admission'; did you mean 'admissions'?" in done.out
    assert "no agent has a step 'nmaes'; did you mean 'names'?" in done.out


async def test_a_failed_case_shows_each_field(portico, site):
    """What was wanted and what was found, and an exit code for CI."""
    path = site / "channels/admissions.test.yaml"
    path.write_text(path.read_text().replace("PID-5.1: EXAMPLE", "PID-5.1: OTHER"))
    done = await portico("test", "--site", site)

    assert done.code == exits.FAILED
    assert "delivery to filed PID-5.1: wanted 'OTHER', found 'EXAMPLE'" in done.out
    assert done.out.endswith("1 passed, 1 failed\n")


async def test_cases_are_chosen_by_a_word_or_a_file(portico, site):
    """One at a time while writing it."""
    file = site / "channels/admissions.test.yaml"
    by_word = await portico("test", "--site", site, "TEST PATIENT", "--json")
    by_file = await portico("test", "--site", site, file, "--json")
    by_none = await portico("test", "--site", site, "no such case")

    assert [one["case"] for one in by_word.json] == ["a test patient is not filed"]
    assert len(by_file.json) == 2
    assert by_none.code == exits.USAGE


async def test_a_site_that_does_not_pass_check_runs_no_case(portico, site):
    """All findings at once, as `check` prints them."""
    break_site(site)
    done = await portico("test", "--site", site)

    assert done.code == exits.FAILED
    assert "channels/admissions.yaml" in done.err


@pytest.mark.parametrize("command", ["test", "run"])
async def test_a_folder_that_is_no_site_is_one_line(portico, tmp_path, command):
    """With the command that would make one."""
    done = await portico(command, "--site", tmp_path)

    assert done.code == exits.FAILED
    assert "portico init DIR" in done.err and done.err.count("\n") == 1
