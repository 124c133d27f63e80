"""portico.spec.rules: steps in normal form, and the types of the language in models."""

import pytest
from pydantic import TypeAdapter, ValidationError

from portico.spec.fields import Options
from portico.spec.rules import (
    AsideField,
    ConditionField,
    OnError,
    OnErrorField,
    PlaceField,
    PlacesField,
    StepReader,
    TargetField,
    TemplateField,
    TestField,
    walk,
)


def read(*raw, on_error=None):
    """(normal forms, complaints)."""
    complaints = []
    reader = StepReader(
        lambda spot: ".".join(map(str, spot)), lambda *complaint: complaints.append(complaint)
    )
    steps = reader.steps(list(raw))
    reader.on_error(on_error)
    return steps, complaints


def test_a_step_has_its_verb_its_name_and_its_place():
    """Names count the verb's steps; `when` and `on_error` are None when not said."""
    steps, complaints = read({"send": "lab"}, {"name": "second", "send": "x"}, {"send": "y"})

    assert complaints == []
    assert [step["name"] for step in steps] == ["send_1", "second", "send_3"]
    assert steps[0] == {
        "verb": "send", "name": "send_1", "args": "lab", "when": None, "on_error": None,
        "at": "steps.0",
    }  # fmt: skip


def test_inner_steps_are_in_normal_form_too():
    """Of route, group, split, otherwise and on_error; walk finds them all, outer ones first."""
    steps, complaints = read(
        {
            "route": [
                {"when": {"PV1-2": "I"}, "steps": [{"send": "a"}]},
                {"when": {"PV1-2": "O"}, "split": {"at": "OBR", "steps": [{"send": "b"}]}},
                {"otherwise": {"steps": [{"send": "c"}]}},
            ],
            "on_error": {"steps": [{"send": "d"}]},
        }
    )

    assert complaints == []
    assert [(step["verb"], step["at"]) for step in walk(steps)] == [
        ("route", "steps.0"),
        ("steps", "steps.0.route.0"),
        ("send", "steps.0.route.0.steps.0"),
        ("split", "steps.0.route.1"),
        ("send", "steps.0.route.1.split.steps.0"),
        ("send", "steps.0.route.2.otherwise.steps.0"),
        ("send", "steps.0.on_error.steps.0"),
    ]


def test_all_complaints_come_at_once_with_their_spots():
    """A wrong step is left out, the others are read."""
    steps, complaints = read(
        {"send": "a", "filter": {}},
        {"name": "x"},
        "send",
        {"send": "a", "name": "Bad Name"},
        {"send": "b", "name": "twice"},
        {"send": "c", "name": "twice"},
        {"send": "d", "when": {"pid-5": "x"}},
        {"send": "e", "on_error": "ignore"},
        {"split": {"at": "OBR", "steps": []}},
        on_error={"refuse": {"ack": "CA"}},
    )

    assert [step["verb"] for step in steps] == ["send"] * 5 + ["split"]
    assert [spot for spot, _ in complaints] == [
        ("steps", 0), ("steps", 1), ("steps", 2), ("steps", 3, "name"), ("steps", 5, "name"),
        ("steps", 6, "when"), ("steps", 7, "on_error"), ("steps", 8, "split", "steps"),
        ("on_error",),
    ]  # fmt: skip
    texts = dict(complaints)
    assert texts["steps", 0] == (
        "a step has one verb, found 'send' and 'filter'; begin each step with -"
    )
    assert "PID-5" in texts["steps", 6, "when"]


@pytest.mark.parametrize(
    ("raw", "act"),
    [
        ("park", "park"), ("drop", "drop"), ("stop", "stop"), ("continue", "continue"),
        ("refuse", "refuse"), ({"refuse": "no {PID-3}"}, "refuse"),
        ({"refuse": {"ack": "AR", "code": "103", "text": "x"}}, "refuse"),
        ({"steps": [{"send": "x"}]}, "steps"),
    ],
    ids=str,
)  # fmt: skip
def test_every_on_error_is_read(raw, act):
    """The choices of the site reference."""
    assert OnError.parse(raw).act == act


@pytest.mark.parametrize(
    "wrong",
    ["ignore", {}, {"refuse": {}}, {"refuse": []}, {"refuse": {"code": "x"}}, {"steps": "x"},
     {"refuse": "{pid-3}"}, {"refuse": "x", "steps": []}],
    ids=str,
)  # fmt: skip
def test_a_wrong_on_error_is_an_error(wrong):
    """With the choices, or what is wrong inside."""
    with pytest.raises(ValidationError):
        TypeAdapter(OnErrorField).validate_python(wrong)


class Shape(Options):
    place: PlaceField | None = None
    places: PlacesField = ()
    target: TargetField | None = None
    template: TemplateField | None = None
    test: TestField | None = None
    condition: ConditionField | None = None
    aside: AsideField | None = None
    on_error: OnErrorField | None = None


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("place", "pid-5"),
        ("place", ["PID-5"]),
        ("target", "type"),
        ("target", "ZPI"),
        ("template", "{PID-5"),
        ("test", ""),
        ("condition", {"PV1-2": {"lte": "5"}}),
        ("aside", "type"),
        ("on_error", "ignore"),
    ],
)
def test_a_model_tells_what_is_wrong_at_its_key(key, wrong):
    """A stable code and words that fit people."""
    with pytest.raises(ValidationError) as caught:
        Shape.model_validate({key: wrong})

    (error,) = caught.value.errors()
    assert error["loc"][0] == key
    assert error["type"].startswith("config.")


def test_models_take_good_texts_compiled_values_and_publish_a_schema():
    """One place may stand for a list of one; a compiled value is left alone."""
    shape = Shape.model_validate(
        {"place": "PID-5", "places": "PID-3", "template": "{PID-5}", "test": "I",
         "condition": {"PV1-2": "I"}, "target": "region", "aside": "found"}
    )  # fmt: skip

    assert Shape(place=shape.place).place is shape.place
    assert [str(place) for place in shape.places] == ["PID-3"]
    assert set(Shape.model_json_schema()["properties"]) == set(Shape.model_fields)
