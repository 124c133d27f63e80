"""spec/secrets.py: secrets by reference, read late, printed never."""

import pytest
from pydantic import BaseModel

from portico.errors import SecretMissing
from portico.spec.destination import Destination
from portico.spec.document import parse
from portico.spec.expanding import expand
from portico.spec.secrets import Expanded, Secret, SecretField, plain
from portico.spec.shape import fit


class Login(BaseModel):
    """A shape with a secret and a text."""

    password: SecretField
    user: str = ""


def document(text):
    ((one,), _) = parse(text, "x.yaml", nouns=False)
    return one


def read(text, environ=()):
    one = document(text)
    value, findings = expand(one, dict(environ))
    login, more = fit(Login, value, one)
    return login, findings + more


def test_each_kind_of_reference_is_read_when_it_is_used(tmp_path):
    """A file of the site, a variable, a credential of systemd."""
    (tmp_path / "pw").write_text("from file\n")
    (tmp_path / "cred").write_text("from systemd")
    environ = {"PW": "from env", "CREDENTIALS_DIRECTORY": str(tmp_path)}

    def reveal(text):
        return Secret.parse(text).reveal(tmp_path, environ)

    assert reveal("${file:pw}") == "from file"
    assert reveal(f"${{file:{tmp_path}/pw}}") == "from file"
    assert reveal("${env:PW}") == "from env"
    assert reveal("${credential:cred}") == "from systemd"


@pytest.mark.parametrize(
    ("reference", "environ", "said"),
    [
        ("${file:none}", {}, "No such file"),
        ("${file:.}", {}, "directory"),
        ("${file:binary}", {}, "not UTF-8"),
        ("${file:large}", {}, "larger than"),
        ("${env:PW}", {}, "no such environment variable"),
        ("${credential:pw}", {}, "CREDENTIALS_DIRECTORY is not set"),
        ("${credential:../pw}", {"CREDENTIALS_DIRECTORY": "x"}, "a name, not a path"),
        ("${credential:..}", {"CREDENTIALS_DIRECTORY": "x"}, "a name, not a path"),
    ],
)
def test_a_reference_that_leads_nowhere_says_so_and_no_more(tmp_path, reference, environ, said):
    """The text names the reference, never what may have been read."""
    (tmp_path / "binary").write_bytes(b"hidden\xff")
    (tmp_path / "large").write_bytes(b"hidden" * 20_000)

    with pytest.raises(SecretMissing) as raised:
        Secret.parse(reference).reveal(tmp_path, environ)

    assert str(raised.value).startswith(reference)
    assert said in str(raised.value)
    assert "hidden" not in str(raised.value)


def test_a_secret_prints_as_its_reference():
    """Not in str, repr, format, models or their dumps."""
    login = Login.model_validate({"password": "${env:PW}"})

    assert f"{login.password}" == str(login.password) == "${env:PW}"
    assert "${env:PW}" in repr(login)
    assert login.password == Secret("env", "PW")


@pytest.mark.parametrize(
    "literal", ["hunter2", "x${env:PW}", "${env:PW}${env:PW}", "${vault:x}"]
)
def test_a_secret_in_plain_text_is_refused_and_not_repeated(literal):
    """A site's files are shown, mailed and committed."""
    _, (finding,) = read(f"password: '{literal}'\n", {"PW": "hidden"})

    assert finding.code == "config.secret"
    assert "hunter2" not in str(finding)
    assert "hidden" not in str(finding)
    assert "${credential:NAME}" in finding.hint


def test_a_variable_in_a_secret_key_stays_a_reference():
    """Expansion is for other texts; the secret is read when it is used."""
    login, findings = read("password: ${env:PW}\nuser: u-${env:PW}\n", {"PW": "x"})

    assert findings == []
    assert login.password == Secret("env", "PW")
    assert login.user == "u-x"


def test_variables_are_replaced_in_every_text_outside_steps():
    """Addresses differ between environments; what steps hold goes into messages."""
    one = document("a: ${env:X}:${env:Y}\nb: [{c: '${env:X}'}]\nsteps: ['${env:X}']\n")

    value, findings = expand(one, {"X": "1", "Y": "2"}, skip=("steps",))

    assert findings == []
    assert value == {"a": "1:2", "b": [{"c": "1"}], "steps": ["${env:X}"]}


def test_a_variable_that_is_not_set_is_one_finding_at_its_line():
    """Not a second one about the text that it left."""
    _, findings = read("user: x\npassword: ${env:NONE}\n")

    assert [(f.code, f.line, f.key) for f in findings] == [
        ("config.env_missing", 2, "password")
    ]


def test_a_finding_about_a_replaced_text_shows_what_was_typed():
    """The value of a variable may be private."""
    one = document("destination: a\ntype: log\ntimeout: ${env:T}\n")
    value, _ = expand(one, {"T": "hidden"})

    _, (finding,) = fit(Destination, value, one)

    assert finding.code == "config.duration"
    assert "${env:T}" in finding.text
    assert "hidden" not in str(finding)


def test_plain_gives_exact_types():
    """What goes to workers as JSON is dict, list and str and nothing of ours."""
    value = plain({"a": (Expanded.of("x", "${env:X}"), 1, None)})

    assert value == {"a": ["x", 1, None]}
    assert type(value["a"][0]) is str
