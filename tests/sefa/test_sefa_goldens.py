"""The directions of the authors' own tool, sorted, are ours."""

import numpy as np
import pytest

from ganx.sefa.factorize import factorize_rows


def _rows(file, net: str, layers: np.ndarray) -> np.ndarray:
    """The weights that the tool stacks, in its order."""
    if net == "pggan_small":
        return np.moveaxis(file["G/layer0.weight"], 1, -1).reshape(-1, file["G/layer0.weight"].shape[1])
    names = [f"G/synthesis.layer{layer}.style.weight" for layer in layers]
    if net == "stylegan2_small":
        names = [name if name in file else f"G/synthesis.output{layer // 2}.style.weight"
                 for name, layer in zip(names, layers, strict=True)]  # fmt: skip
    return np.concatenate([file[name] for name in names])


@pytest.mark.parametrize(
    ("net", "layers"),
    [("stylegan2_small", r) for r in ("all", "0-1", "2-5", "6-9")]
    + [("stylegan_small", r) for r in ("all", "6-11")]
    + [("pggan_small", "all")],
)
def test_directions_match_the_authors_tool(shared, net, layers):
    with np.load(shared / "goldens/sefa" / f"{net}.npz") as file:
        reference, vectors = file[f"sefa/{layers}/val_raw"], file[f"sefa/{layers}/vec_raw"]
        values, found = factorize_rows(_rows(file, net, file[f"sefa/{layers}/layers"]))
    order = np.argsort(-reference)
    reference, vectors = reference[order], vectors[order]
    np.testing.assert_allclose(values, reference[: len(values)], rtol=0, atol=1e-6 * reference[0])
    apart = np.abs(np.diff(reference[:10])) > 1e-4 * reference[0]  # closer ones may turn within their plane
    alone = np.flatnonzero(apart[1:] & apart[:-1])[:7] + 1
    assert len(alone) >= 4
    cosines = np.abs((found[alone] * vectors[alone]).sum(1))
    assert (1 - cosines).max() <= 2e-6
