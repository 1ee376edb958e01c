"""Metrics one can quote: features of images, statistics of features, and the distances between them, kept apart."""

from ganx.metrics.editing import classification_error, edit_locality, identity, rescoring
from ganx.metrics.evaluate import Evaluation, Score, evaluate
from ganx.metrics.features import FeatureNet, load_features, load_lpips, load_recogniser, user_features
from ganx.metrics.frechet import Frechet, frechet
from ganx.metrics.inception_score import inception_score
from ganx.metrics.kernel import kid, kid_full
from ganx.metrics.manifold import Manifold, manifold
from ganx.metrics.modes import ModeCoverage, cmmd, mode_coverage, reverse_kl
from ganx.metrics.moments import Moments, moments
from ganx.metrics.path_length import PathLength, path_length
from ganx.metrics.pixels import mae, mse, psnr, ssim

__all__ = [
    "Evaluation",
    "FeatureNet",
    "Frechet",
    "Manifold",
    "ModeCoverage",
    "Moments",
    "PathLength",
    "Score",
    "classification_error",
    "cmmd",
    "edit_locality",
    "evaluate",
    "frechet",
    "identity",
    "inception_score",
    "kid",
    "kid_full",
    "load_features",
    "load_lpips",
    "load_recogniser",
    "mae",
    "manifold",
    "mode_coverage",
    "moments",
    "mse",
    "path_length",
    "psnr",
    "rescoring",
    "reverse_kl",
    "ssim",
    "user_features",
]
