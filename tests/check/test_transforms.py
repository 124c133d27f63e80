"""check/transforms.py: whether a call of site code can fit, without running any."""

import pytest

from portico.check.transforms import Complaint, Module, Transforms


@pytest.fixture
def transforms(site):
    """A site whose module `t.m` holds the text of a test."""

    def build(text):
        site.write({"t/__init__.py": "", "t/m.py": text})
        return Transforms(site.root)

    return build


@pytest.mark.parametrize(
    "parameters",
    ["msg", "msg, /", "msg, a='1'", "msg, *, a", "msg, **more", "*all, a", "msg, a, b=1"],
)
def test_a_call_that_fits_is_no_complaint(transforms, parameters):
    """One positional value, and `with` as keywords."""
    wanted = {"a"} if "a" in parameters.replace("all", "") else set()

    assert transforms(f"def f({parameters}): ...").call("t.m:f", wanted) is None


@pytest.mark.parametrize(
    ("parameters", "given", "said"),
    [
        ("", (), "takes no message"),
        ("*, a", ("a",), "takes no message"),
        ("msg, a", (), "needs a; add it to with"),
        ("msg, *, a, b=1", (), "needs a; add it to with"),
        ("msg, prefix='1'", ("prefx",), "takes no 'prefx'; did you mean 'prefix'?"),
        ("msg", ("msg",), "takes no 'msg'"),
        ("msg, **more", ("msg",), "takes no 'msg'"),
        ("msg, a, /", ("a",), "takes no 'a'"),
    ],
)
def test_a_call_that_cannot_fit_says_why(transforms, parameters, given, said):
    """The step would fail at every message."""
    complaint = transforms(f"def f({parameters}): ...").call("t.m:f", given)

    assert complaint.code == "site.call"
    assert said in complaint.text


@pytest.mark.parametrize(
    "text", ["from x import f", "f = make()", "@cached\ndef f(): ...", "class f: ..."]
)
def test_what_cannot_be_known_without_running_is_let_through(transforms, text):
    """The worker has the last word."""
    assert transforms(text).call("t.m:f", ("a",)) is None


def test_a_function_in_a_branch_is_found(transforms):
    """Definitions under `if` and `try` are the module's too; those in functions are not."""
    module = transforms("try:\n  import x\nexcept E:\n  def f(m): ...\ndef g():\n  h = 1\n")

    found = module.module("t.m")

    assert isinstance(found, Module)
    assert set(found.functions) == {"x", "f", "g"}


def test_an_async_function_is_refused(transforms):
    """Nothing would await it."""
    assert transforms("async def f(m): ...").call("t.m:f", ()).hint == "use def"


@pytest.mark.parametrize("text", ["def f(", "x = '\0'", "(" * 5000])
def test_no_module_can_break_the_check(transforms, text):
    """Whatever stands in a file is at worst a complaint."""
    complaint = transforms(text).call("t.m:f", ())

    assert isinstance(complaint, Complaint)
    assert complaint.code == "site.syntax"


def test_a_module_that_is_not_there_is_corrected(transforms):
    """The nearest module of the same folder."""
    complaint = transforms("").call("t.mm:f", ())

    assert complaint.code == "site.unknown_module"
    assert complaint.hint == "did you mean 'm'?"
