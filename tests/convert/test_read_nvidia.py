"""NVIDIA's pickles: networks become names and facts, and the source code in them is never looked at."""

import pickle
import sys
import types

import handmade
import numpy as np
import pytest

from ganx import GanxError
from ganx.convert import read_source

CONST = np.arange(32, dtype=np.float32).reshape(2, 4, 4)
AVERAGE = np.arange(4, dtype=np.float32)


def generator(scale: float = 1.0) -> bytes:
    conv = handmade.module("SynthesisLayer", {"weight": scale * CONST}, conv_clamp=256, up=1, use_noise=True)
    block = handmade.module("SynthesisBlock", {"const": scale * CONST}, modules={"conv1": conv}, architecture="skip")
    synthesis = handmade.module("SynthesisNetwork", modules={"b4": block}, block_resolutions=[4])
    mapping = handmade.module("MappingNetwork", buffers={"w_avg": scale * AVERAGE}, num_ws=2)
    kwargs = {"z_dim": 4, "synthesis_kwargs": {"channel_base": 64, "conv_clamp": 256, "architecture": "skip"}}
    return handmade.module(
        "Generator",
        modules={"synthesis": synthesis, "mapping": mapping},
        z_dim=4,
        c_dim=0,
        img_resolution=4,
        sampling_rates=(16.0, 16.0),
        _init_kwargs=kwargs,
    )


def test_a_stylegan_pickle(tmp_path):
    path = handmade.save_nvidia(
        tmp_path / "net.pkl",
        {"G": generator(), "D": handmade.module("Discriminator", {"b": AVERAGE}), "G_ema": generator(2.0)},
        training_set_kwargs={"path": "/data/ffhq.zip", "use_labels": False},
        augment_pipe=None,
    )
    source = read_source(path)
    parts = ("synthesis.b4.const", "synthesis.b4.conv1.weight", "mapping.w_avg")
    assert list(source.tensors) == [f"G.{p}" for p in parts] + ["D.b"] + [f"G_ema.{p}" for p in parts]
    np.testing.assert_array_equal(source.tensors["G_ema.synthesis.b4.const"], 2 * CONST)
    np.testing.assert_array_equal(source.tensors["G.mapping.w_avg"], AVERAGE)
    wanted = {
        "G_ema.__class__": "Generator",
        "G_ema.z_dim": 4,
        "G_ema.img_resolution": 4,
        "G_ema.sampling_rates": [16.0, 16.0],
        "G_ema._init_kwargs.synthesis_kwargs.architecture": "skip",
        "G_ema._init_kwargs.synthesis_kwargs.conv_clamp": 256,
        "G_ema.synthesis.block_resolutions": [4],
        "G_ema.synthesis.b4.conv1.conv_clamp": 256,
        "G_ema.synthesis.b4.conv1.use_noise": True,
        "D.__class__": "Discriminator",
        "training_set_kwargs.path": "/data/ffhq.zip",
        "augment_pipe": None,
    }
    assert wanted.items() <= source.facts.items()
    assert not [name for name, fact in source.facts.items() if "canary" in str(fact) or "module_src" in name]


def test_a_tensorflow_pickle(tmp_path):
    mapping = handmade.tf_network({"Dense0/weight": CONST, "dlatent_avg": AVERAGE})
    whole = handmade.tf_network({"lod": np.zeros((), np.float32)}, {"mapping": mapping}, name="Gs", version=4)
    critic = handmade.tf_network({"4x4/Conv/weight": CONST})
    source = read_source(handmade.save_tensorflow(tmp_path / "tf.pkl", whole, critic, whole))
    names = ["lod", "mapping/Dense0/weight", "mapping/dlatent_avg"]
    wanted = [f"G.{n}" for n in names] + ["D.4x4/Conv/weight"] + [f"Gs.{n}" for n in names]
    assert list(source.tensors) == wanted
    np.testing.assert_array_equal(source.tensors["Gs.mapping/Dense0/weight"], CONST)
    assert source.facts["Gs.static_kwargs.resolution"] == 8
    assert source.facts["Gs.mapping.version"] == 4
    assert not [fact for fact in source.facts.values() if "canary" in str(fact)]


def test_python_2_strings_hold_arrays(tmp_path):
    """The oldest pickles wrote the bytes of an array with the opcode of a text."""
    big = np.arange(3000, dtype=np.float32)
    old = handmade.tf_network({"a": AVERAGE, "b": big})
    for array in (AVERAGE, big):
        raw = handmade.data(array.tobytes())
        old = old.replace(raw, b"T" + raw[1:])
    source = read_source(handmade.save_tensorflow(tmp_path / "old.pkl", old, old, old))
    np.testing.assert_array_equal(source.tensors["D.a"], AVERAGE)
    np.testing.assert_array_equal(source.tensors["Gs.b"], big)


def test_the_theano_version_is_refused(tmp_path):
    old = handmade.name("network", "Network") + b")\x81" + handmade.value({"param_values": [AVERAGE]}) + b"b"
    with pytest.raises(GanxError, match="Theano"):
        read_source(handmade.save_tensorflow(tmp_path / "old.pkl", old, old, old))


@pytest.mark.parametrize(
    "network",
    [
        handmade.call(handmade.name("torch_utils.persistence", "_reconstruct_persistent_obj"), b"N"),
        handmade.call(handmade.name("torch_utils.persistence", "_reconstruct_persistent_obj"), b"}"),
        handmade.call(
            handmade.name("torch_utils.persistence", "_reconstruct_persistent_obj"),
            handmade.value({"class_name": "G", "state": [1]}),
        ),
        handmade.module("G", _parameters=[1]),
        handmade.tf_network([("a",)]),
        handmade.tf_network({}, components={"mapping": "text"}),
    ],
    ids=["no meta", "empty meta", "state", "parameters", "variables", "components"],
)
def test_networks_of_another_shape_are_refused(tmp_path, network):
    with pytest.raises(GanxError, match="unknown way"):
        read_source(handmade.save_nvidia(tmp_path / "net.pkl", {"G": network}))


def test_a_dict_of_arrays(tmp_path):
    (tmp_path / "a.pkl").write_bytes(handmade.pickle_of(handmade.value({"net": {"w": CONST}, "step": 3})))
    source = read_source(tmp_path / "a.pkl")
    assert source.tensors["net.w"].tobytes() == CONST.tobytes()
    assert source.facts == {"step": 3}


def test_agrees_with_torch(tmp_path):
    """Real modules with real tensors, pickled through the same function as NVIDIA's `persistence` uses."""
    torch = pytest.importorskip("torch")
    package, persistence = types.ModuleType("torch_utils"), types.ModuleType("torch_utils.persistence")

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("this must never run")

    _reconstruct_persistent_obj.__module__ = persistence.__name__
    _reconstruct_persistent_obj.__qualname__ = _reconstruct_persistent_obj.__name__
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj

    class Pickler(pickle.Pickler):
        def reducer_override(self, thing):
            if not isinstance(thing, torch.nn.Module):
                return NotImplemented
            meta = {"type": "class", "class_name": type(thing).__name__, "module_src": "1/0", "state": thing.__dict__}
            return _reconstruct_persistent_obj, (meta,)

    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2), torch.nn.Conv2d(2, 2, 3).half())
    sys.modules |= {"torch_utils": package, "torch_utils.persistence": persistence}
    try:
        with (tmp_path / "net.pkl").open("wb") as file:
            Pickler(file, 4).dump({"G_ema": net})
    finally:
        del sys.modules["torch_utils"], sys.modules["torch_utils.persistence"]
    source = read_source(tmp_path / "net.pkl")
    wanted = {f"G_ema.{name}": tensor.detach().numpy() for name, tensor in net.state_dict().items()}
    assert source.tensors.keys() == wanted.keys()
    for name, array in wanted.items():
        assert source.tensors[name].dtype == array.dtype
        assert source.tensors[name].tobytes() == array.tobytes()
    assert source.facts["G_ema.1.num_features"] == 2
