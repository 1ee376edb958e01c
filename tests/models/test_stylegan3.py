"""StyleGAN3: what the paper says of its filters, that images move and turn with their transform, and the stages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.special

from ganx import GanxError
from ganx.models import build_discriminator, build_generator, init_gan, make_gan
from ganx.models.filtered import kaiser_lowpass, radial_lowpass, resample

SMALL = {"resolution": 16, "latent": 8, "style": 8, "layers": 4, "critical": 1, "channel_max": 16}
KINDS = {"T": {}, "R": {"kernel": 1, "radial": True}}
SIDE = 16


def pose(angle=0.0, right=0.0, down=0.0):
    """Where an image turned and moved (in pixels) is read."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, -right / SIDE], [sin, cos, -down / SIDE], [0, 0, 1]])


POSES = (pose(), pose(right=3, down=-2), pose(right=0.5, down=0.25), pose(np.pi / 2), pose(0.5))


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def gan(kind):
    gan = init_gan("stylegan3", SMALL | KINDS[kind], jax.random.key(1))
    # a pose of its own for every code, which fresh networks do not have
    turned = 0.3 * jax.random.normal(jax.random.key(2), (8, 4))
    params = gan.variables["params"]
    params = params | {"input": params["input"] | {"style": params["input"]["style"] | {"kernel": turned}}}
    return make_gan("stylegan3", gan.module, gan.variables | {"params": params})


@pytest.fixture(scope="module")
def posed(gan):
    """One image in each of `POSES`."""
    z = jnp.repeat(gan.latents(jax.random.key(0), 1), len(POSES), 0)
    return np.asarray(gan(z, transform=np.stack(POSES)))


def psnr(image, reference):
    return 20 * np.log10(np.ptp(reference)) - 10 * np.log10(np.square(image - reference).mean())


def read(image, x, y, reach=5):
    """The band-limited signal between the pixels, by Lanczos interpolation."""
    at = [np.arange(int(v) - reach + 1, int(v) + reach + 1) for v in (y, x)]
    rows, columns = (np.sinc(v - k) * np.sinc((v - k) / reach) for v, k in zip((y, x), at, strict=True))
    return np.einsum("y,x,yxc->c", rows / rows.sum(), columns / columns.sum(), image[np.ix_(*at)])


def psnr_where_read(image, reference, matrix, reach=5):
    """Of `image` against `reference` read at `matrix`, where that lies well inside."""
    found, wanted = [], []
    for i, j in np.ndindex(SIDE, SIDE):
        x, y = matrix[:2] @ [(j + 0.5) / SIDE - 0.5, (i + 0.5) / SIDE - 0.5, 1] * SIDE + SIDE / 2 - 0.5
        if reach - 1 <= min(x, y) and max(x, y) < SIDE - reach:
            found.append(image[i, j])
            wanted.append(read(reference, x, y, reach))
    return psnr(np.array(found), np.array(wanted))


def test_whole_pixels_move_the_image(posed):
    assert psnr(posed[1][:-2, 3:], posed[0][2:, :-3]) > 90


def test_parts_of_a_pixel_move_the_signal(posed):
    assert psnr_where_read(posed[2], posed[0], POSES[2]) > 45


def test_r_turns_with_its_transform_and_t_does_not(posed, kind):
    quarter, any_angle = psnr(posed[3], np.rot90(posed[0])), psnr_where_read(posed[4], posed[0], POSES[4])
    if kind == "R":
        assert quarter > 100
        assert any_angle > 45
    else:
        assert max(quarter, any_angle) < 35


def test_since_until_is_the_whole_to_the_bit(gan):
    z = gan.latents(jax.random.key(0), len(POSES))  # as many as before: the same compiled programs
    conditions = {"transform": np.stack(POSES), "psi": 0.7, "cutoff": 3}
    whole = gan(z, **conditions)
    for stage in gan.stages:
        act = gan.until(stage, z, **conditions)
        assert all(len(leaf) == len(z) for leaf in jax.tree.leaves(act))
        np.testing.assert_array_equal(gan.since(stage, act), whole)


def test_stages_and_codes(gan):
    assert gan.stages == ("map", "input", "layer0", "layer1", "layer2", "layer3", "rgb")
    assert gan.shapes["map"] == (6, 8)
    assert gan.shapes["layer2"][:2] == (36, 36)  # a margin of ten a side
    assert gan.shapes["layer3"][:2] == gan.shapes["rgb"][:2] == (16, 16)
    matrices = gan.module.apply(gan.variables, method="style_matrices")
    assert tuple(matrices) == gan.stages[1:]
    assert [len(m) for m in matrices.values()] == [4, 16, 16, 16, 16, gan.shapes["layer3"][2]]


def test_each_code_drives_its_stage(gan):
    z = jnp.repeat(gan.latents(jax.random.key(0), 1), len(POSES), 0)
    act = gan.until("map", z, transform=np.stack([POSES[0]] * len(POSES)))
    codes = act.features
    images = gan.since("map", act.with_features(codes.at[jnp.arange(3), jnp.array([0, 1, 5])].add(1.0)))
    assert all(np.abs(image - images[3]).max() > 1e-4 for image in images[:3])
    np.testing.assert_array_equal(images[3], images[4])
    moved = gan.module.apply(gan.variables, codes.at[:, 3].add(1.0), method="styles")
    still = gan.module.apply(gan.variables, codes, method="styles")
    assert [s for s in moved if not np.array_equal(moved[s], still[s])] == ["layer2"]


def test_training_moves_the_averages_and_reaches_every_parameter(gan, kind):
    if kind == "R":
        pytest.skip("the same code; its filters' gradients are tested below")
    z = gan.latents(jax.random.key(0), 2)
    params = gan.variables["params"]
    rest = {k: v for k, v in gan.variables.items() if k != "params"}

    @jax.jit
    def step(params):
        def loss(params):
            images, moved = gan.module.apply({"params": params, **rest}, z, train=True, mutable=["averages"])
            return jnp.square(images).sum(), moved["averages"]

        return jax.grad(loss, has_aux=True)(params)

    gradients, averages = step(params)
    assert all(np.abs(g).max() > 0 for g in jax.tree.leaves(gradients))
    x = gan.until("input", z).features
    np.testing.assert_allclose(averages["layer0"]["magnitude"], 0.999 + 0.001 * np.square(x).mean(), rtol=1e-4)
    w = gan.until("map", z).features[:, 0]
    np.testing.assert_allclose(averages["map"]["w_avg"], 0.002 * w.mean(0), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("taps", "cutoff", "width", "rate"), [(12, 2, 4.6, 32), (12, 16, 13.2, 128), (24, 4, 7, 64)])
def test_filters_are_those_of_scipy(taps, cutoff, width, rate):
    lowpass = kaiser_lowpass(taps, cutoff, width, rate)
    np.testing.assert_allclose(lowpass, scipy.signal.firwin(taps, cutoff, width=width, fs=rate), atol=1e-7)
    np.testing.assert_allclose(lowpass, lowpass[::-1], atol=1e-8)
    assert lowpass.sum() == pytest.approx(1, abs=1e-6)
    gain = np.abs(np.fft.rfft(lowpass, 4096))[round(4096 * cutoff / rate)]
    assert gain == pytest.approx(0.5, abs=0.1)  # the cutoff is the middle of the transition


def test_radial_filters_are_jincs_under_a_window():
    taps, cutoff, width, rate = 12, 4.0, 9.0, 64
    radial, lowpass = radial_lowpass(taps, cutoff, width, rate), kaiser_lowpass(taps, cutoff, width, rate)
    at = (np.arange(taps) - 5.5) / rate
    radius, window = np.hypot(at[:, None], at), lowpass / np.sinc(2 * cutoff * at)
    jinc = scipy.special.j1(2 * np.pi * cutoff * radius) / radius * np.outer(window, window)
    np.testing.assert_allclose(radial, jinc / jinc.sum(), atol=1e-7)
    np.testing.assert_allclose(radial, radial.T, atol=1e-9)


@pytest.mark.parametrize(("up", "down", "low", "size"), [(2, 1, 7, 20), (4, 1, -3, 30), (1, 2, 0, 2), (1, 2, 5, 7)])
@pytest.mark.parametrize("axes", [1, 2])
def test_resampling_is_zeros_then_a_filter_then_every_second_sample(up, down, low, size, axes):
    rng = np.random.default_rng(0)
    half = rng.normal(size=6)
    taps = np.concatenate([half, half[::-1]]).astype(np.float32)
    taps = taps if axes == 1 else np.add.outer(taps, taps)
    x = rng.normal(size=(1, 14, 14, 2)).astype(np.float32)

    wide = np.zeros((400, 400, 2))
    wide[200 : 200 + 14 * up : up, 200 : 200 + 14 * up : up] = x[0]
    at = [200 - low + down * j + np.arange(12) for j in range(size)]
    kernel = np.outer(taps, taps) if axes == 1 else taps
    expected = [[np.einsum("hw,hwc->c", kernel, wide[np.ix_(rows, columns)]) for columns in at] for rows in at]

    run = jax.jit(lambda x: resample(x, jnp.asarray(taps), up, down, low, size))
    y, back = jax.vjp(run, x)
    np.testing.assert_allclose(y[0], expected, rtol=1e-4, atol=1e-4)
    # the transpose and the tangent of a linear map
    other = rng.normal(size=y.shape).astype(np.float32)
    np.testing.assert_allclose((back(other)[0] * x).sum(), (other * y).sum(), rtol=1e-3)
    np.testing.assert_allclose(jax.jvp(run, (x,), (x,))[1], y, rtol=1e-5, atol=1e-5)


def test_published_layers():
    """The layers of the public 1024-pixel R network: sizes and channels, as in their names."""
    module = build_generator(
        "stylegan3", {"resolution": 1024, "channel_base": 65536, "channel_max": 1024, **KINDS["R"]}
    )
    sizes = [36, 36, 52, 52, 84, 148, 148, 276, 276, 532, 1044, 1044, 1044, 1024, 1024]
    channels = [1024] * 7 + [645, 406, 256, 161, 102, 64, 64, 3]
    assert [(s.size, s.channels) for s in module.signals()] == list(zip(sizes, channels, strict=True))


def test_options_that_cannot_be():
    with pytest.raises(GanxError, match="power of two from 16"):
        build_generator("stylegan3", {"resolution": 24})
    with pytest.raises(GanxError, match="critical"):
        build_generator("stylegan3", SMALL | {"critical": 4})
    gan = init_gan("stylegan3", SMALL, jax.random.key(0))
    with pytest.raises(GanxError, match=r"transform has shape \[2, 2\]"):
        gan(jnp.zeros((1, 8)), transform=np.eye(2))
    assert type(build_discriminator("stylegan3", {"resolution": 16})).__name__ == "StyleGan2Discriminator"
