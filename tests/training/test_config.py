"""Configuration files and overrides: typed, locked, and refused in one line."""

import pytest
from ml_collections import ConfigDict

import ganx
from ganx.training import default_config, load_config
from ganx.training.config import check_ranges, flat_keys, override

FILE = """
from ganx.training import default_config
def get_config():
    config = default_config()
    config.batch = 16
    return config
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(FILE)
    return path


def test_overrides_keep_the_type(file):
    config = load_config(file, ["steps=7", "g.lr=1", "data.flip=true", "loss=hinge", "r1.gamma=1e-1"])
    assert (config.batch, config.steps, config.data.flip, config.loss) == (16, 7, True, "hinge")
    assert isinstance(config.g.lr, float)
    assert config.r1.gamma == 0.1


def test_options_of_the_networks_can_be_added(file):
    config = load_config(file, ["model.generator.width=8", "model.family=stylegan2", "model.generator.style=16"])
    assert config.model.generator.to_dict() == {"width": 8, "style": 16}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz=1", "did you mean 'steps'"),
        ("r1.gama=1", "did you mean 'r1.gamma'"),
        ("steps=0.5", "expected int"),
        ("steps=many", "expected int"),
        ("data.flip=1", "expected bool"),
        ("g.lr=fast", "expected float"),
        ("g=1", "is a group"),
        ("steps", "has no value"),
    ],
)
def test_bad_overrides_are_one_line(file, text, words):
    with pytest.raises(ganx.GanxError, match=words) as info:
        load_config(file, [text])
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("x = 1", "defines no get_config"),
        ("def get_config(:", "config.py"),
        ("import nonexistent_package", "nonexistent_package"),
        (FILE.replace("config.batch", "config.batsh"), "batsh"),
        (FILE.replace("= 16", "= 'many'"), "config.py"),
    ],
)
def test_bad_files_are_one_line(tmp_path, body, words):
    path = tmp_path / "config.py"
    path.write_text(body)
    with pytest.raises(ganx.GanxError, match=words) as info:
        load_config(path)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("keep", 0, "config.keep is 0; it is a number from 1 up"),
        ("steps_per_call", 0, "from 1 up"),
        ("samples", 0, "from 1 up"),
        ("steps", -4, "from 1 up"),
        ("d_steps", 0, "config.d_steps is 0"),
        ("batch", 0, "config.batch is 0"),
        ("r1.every", 0, "config.r1.every is 0"),
        ("r1.gamma", -1.0, "config.r1.gamma is -1.0; it is a number from 0 up"),
        ("log_every", -1, "from 0 up"),
        ("g.lr", -1.0, "a learning rate is above 0"),
        ("d.lr", float("nan"), "a learning rate is above 0"),
    ],
)
def test_numbers_that_no_run_has_are_refused(name, value, words):
    config = default_config()
    check_ranges(config)
    config.update_from_flattened_dict({name: value})
    with pytest.raises(ganx.GanxError, match=words):
        check_ranges(config)


def test_missing_file(tmp_path):
    with pytest.raises(ganx.GanxError, match="no config file"):
        load_config(tmp_path / "nothing.py")


def test_every_default_can_be_overridden_by_its_own_text():
    config = default_config()
    keys = flat_keys(config)
    assert "g.b1" in keys
    for key in keys:
        value = config
        for part in key.split("."):
            value = value[part]
        if not isinstance(value, ConfigDict):
            override(config, f"{key}={value}")
