"""The authors' own tools on the same weights: directions, edited pictures, boundaries, projections, interpolations."""

import jax
import numpy as np
import pytest
from golden_gans import LAYOUTS, open_golden

from ganx import sefa
from ganx.sefa.interfacegan import boundary, interpolate, project
from ganx.sefa.space import decode, start


@pytest.fixture(scope="module", params=LAYOUTS)
def golden(request, shared):
    return open_golden(shared, request.param)


def test_directions_match_the_authors_tool(golden):
    """Acceptance check 5, for every range of layers in one batch."""
    arrays, gan = golden
    ranges = [name.split("/")[1] for name in arrays if name.startswith("sefa/") and name.endswith("/layers")]
    for name, found in sefa.factorize_many(gan, ranges).items():
        reference, vectors = arrays[f"sefa/{name}/val_raw"], arrays[f"sefa/{name}/vec_raw"]
        assert found.layers == tuple(arrays[f"sefa/{name}/layers"])
        order = np.argsort(-reference)[: len(found)]
        reference, vectors = reference[order], vectors[order]
        np.testing.assert_allclose(found.values, reference, rtol=0, atol=1e-6 * reference[0])
        assert (np.diff(reference[:9]) < -1e-4 * reference[0]).all()  # no plane within which directions may turn
        assert (1 - np.abs((found.vectors * vectors).sum(1)))[:8].max() <= 2e-6


def test_edited_pictures_match_the_authors_tool(golden):
    """Acceptance check 8: within 2e-3, or half a step of the float16 in which the references are kept."""
    arrays, gan = golden
    code, layers, amounts = arrays["code"][:2], str(arrays["edit/range"]), arrays["edit/distances"]
    paint = jax.jit(decode)
    for i, vector in enumerate(arrays["edit/V"]):
        moved = sefa.move(gan, code, vector, amounts, layers)
        images = np.asarray(paint(gan, moved.reshape(-1, *code.shape[1:])))
        theirs = arrays["edit/img"][:, i].astype(np.float32)
        ours = images.transpose(0, 3, 1, 2).reshape(theirs.shape)
        assert (np.abs(ours - theirs) <= np.maximum(2e-3, np.abs(theirs) / 2048)).all()
        if gan.spec.family != "pggan":
            others = [layer for layer in range(code.shape[1]) if layer not in sefa.parse_layers(layers, code.shape[1])]
            still = np.broadcast_to(code[:, None, others], (2, len(amounts), len(others), code.shape[2]))
            np.testing.assert_array_equal(moved[:, :, others], still)


def test_pggan_starts_on_the_sphere_and_is_put_back_on_it(shared):
    arrays, gan = open_golden(shared, "pggan")
    code = np.asarray(start(gan, arrays["z"]))
    np.testing.assert_allclose(code, arrays["code"], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(code, axis=1), 8.0, rtol=1e-5)
    longer = jax.jit(decode)(gan, np.concatenate([code, 3 * code]))
    np.testing.assert_allclose(longer[:4], longer[4:], atol=1e-4)


@pytest.fixture(scope="module")
def supervised(shared):
    arrays = dict(np.load(shared / "goldens/sefa/interfacegan.npz"))
    random = np.random.RandomState(0)
    random.randn(3, 64)
    return arrays, random.randn(20000, 64).astype(np.float32)


def test_boundaries_match_the_authors_machine(supervised):
    arrays, z = supervised
    for i in range(3):
        ours, accuracy = boundary(z, arrays[f"scores/{i}"][:, 0], seed=i)
        assert ours @ arrays[f"boundary/{i}"][0] >= 0.99999
        assert accuracy == 1.0


def test_projections_and_interpolations_match(supervised):
    arrays, _ = supervised
    n, others = arrays["boundary/0"][0], np.stack([arrays[f"boundary/{i}"][0] for i in (1, 2)])
    np.testing.assert_allclose(project(n, others[:1])[None], arrays["proj/0|1"], atol=1e-6)
    np.testing.assert_allclose(project(n, others)[None], arrays["proj/0|1,2"], atol=1e-6)
    np.testing.assert_allclose(project(n, arrays["proj4/conds"][:, 0])[None], arrays["proj4/out"], atol=1e-6)
    line = interpolate(arrays["interp/code"], n)[0]
    np.testing.assert_allclose(line, arrays["interp/out"], atol=1e-5)
    np.testing.assert_allclose(line @ n, np.linspace(-3, 3, 10), atol=1e-5)
    np.testing.assert_allclose(interpolate(arrays["interp/wp"], n)[0], arrays["interp/wp_out"], atol=1e-6)
