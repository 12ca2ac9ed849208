"""Writes test/fixtures/metrics.json: counts, scores and tests as scikit-learn, scipy and statsmodels have them.

  python3 -m pip install scikit-learn scipy statsmodels && python3 scripts/metrics_golden.py

The bootstrap draws from Python's random.Random(seed), as lib/random.ts does, so that its answers can
be compared digit by digit; `scipy` beside them is scipy's own interval, with draws of its own.
"""

import json
import math
import random
from pathlib import Path

import numpy as np
import scipy
import sklearn
import statsmodels
from scipy import special, stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar


def classification():
    draw = random.Random(1)
    kinds = [([0, 1], 40), (["satd", "clean"], 7), (["a", "b", "c", "d"], 60), ([3, 1, 2], 5), (["x"], 3)]
    for classes, rows in kinds * 3:
        labels = draw.choices(classes, [0.7, *[0.3] * (len(classes) - 1)], k=rows)
        predictions = [label if draw.random() < 0.6 else draw.choice(classes) for label in labels]
        yield scored(predictions, labels, draw.choice(classes))
    yield scored([0, 0, 0, 0], [0, 1, 0, 1], 1)
    yield scored([1, 1, 0, 1], [0, 0, 0, 0], 1)
    yield scored(["b", "b"], ["a", "a"], "a")
    yield scored([0, 0], [0, 0], 1)


def scored(predictions, labels, positive):
    def scores(**options):
        values = metrics.precision_recall_fscore_support(labels, predictions, zero_division=0, **options)
        return dict(zip(("precision", "recall", "f1"), (float(np.squeeze(value)) for value in values)))

    return {
        "predictions": predictions,
        "labels": labels,
        "positive": positive,
        "accuracy": metrics.accuracy_score(labels, predictions),
        "macro": scores(average="macro"),
        # One class against the rest, which average="binary" refuses for more than two.
        "binary": scores(labels=[positive], average=None),
    }


def filters():
    draw = random.Random(2)
    cases = [(draw.randint(1, 40), draw.random(), draw.random()) for _ in range(12)]
    for rows, flag, poison in [*cases, (5, 0, 0.5), (5, 1, 0.5), (5, 0.5, 0), (5, 0.5, 1), (3, 0, 0)]:
        flagged = [draw.random() < flag for _ in range(rows)]
        poisoned = [draw.random() < poison for _ in range(rows)]
        kept = metrics.confusion_matrix(poisoned, flagged, labels=[False, True])
        (clean_kept, clean_lost), (poison_kept, found) = kept.tolist()
        yield {
            "flagged": flagged,
            "poisoned": poisoned,
            "precision": known(metrics.precision_score(poisoned, flagged, zero_division=np.nan)),
            "recall": known(metrics.recall_score(poisoned, flagged, zero_division=np.nan)),
            "f1": known(metrics.f1_score(poisoned, flagged, zero_division=np.nan)),
            "falseRejectionRate": share(clean_lost, clean_lost + clean_kept),
            "falseAcceptanceRate": share(poison_kept, poison_kept + found),
            "cleanLost": clean_lost,
        }


def known(value):
    return None if math.isnan(value) else float(value)


def share(part, whole):
    return part / whole if whole else None


def pass_at_k():
    for samples in (1, 2, 5, 10, 200, 1000):
        for correct in sorted({0, 1, samples // 3, samples - 1, samples}):
            for k in sorted({1, min(5, samples), min(100, samples), samples}):
                chance = float(stats.hypergeom.sf(0, samples, correct, k))
                yield {"samples": samples, "correct": correct, "k": k, "chance": chance}


def reciprocal_ranks():
    """With one right answer for each query, the mean precision at the right answers is 1 / rank."""
    draw = random.Random(3)
    for queries in (1, 4, 25):
        ranks = [draw.randint(1, 30) for _ in range(queries)]
        truth = np.array([[place == rank for place in range(1, 31)] for rank in ranks])
        scores = np.tile(-np.arange(30.0), (queries, 1))
        yield {"ranks": ranks, "mean": float(metrics.label_ranking_average_precision_score(truth, scores))}


def paired_tests():
    counts = [(0, 0), (1, 0), (0, 1), (3, 0), (5, 5), (6, 5), (4, 12), (25, 40), (40, 25), (0, 60)]
    for only_a, only_b in [*counts, (100, 160), (1000, 1100), (2000, 3000), (5000, 5003)]:
        table = [[7, only_a], [only_b, 9]]
        corrected = mcnemar(table, exact=False, correction=True) if only_a + only_b else None
        yield {
            "onlyA": only_a,
            "onlyB": only_b,
            "p": float(mcnemar(table, exact=True).pvalue),
            "chiSquare": float(corrected.statistic) if corrected else 0,
            "chiSquareP": float(corrected.pvalue) if corrected else 1,
        }


def sign_flips():
    draw = random.Random(6)
    cases = [[draw.randint(-3, 3) + shift for _ in range(items)] for items in (2, 5, 12, 13) for shift in (0, 1)]
    for differences in [*cases, [2, 2, 2, 2], [0, 0, 0], [3, -3, 1]]:
        test = stats.permutation_test(
            (differences, [0] * len(differences)),
            lambda a, b, axis: np.mean(a - b, axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
        )
        yield {"differences": differences, "p": float(test.pvalue)}


def bootstraps():
    draw = random.Random(4)
    shares = [[float(draw.random() < chance) for _ in range(30)] for chance in (0.8, 0.5)]
    scores = [[round(draw.gauss(mean, 1), 4) for _ in range(50)] for mean in (0.1, 0)]
    for a, b in (shares, scores):
        for samples, seed, confidence in ((2000, 42, 0.95), (999, 7, 0.8)):
            options = {"samples": samples, "seed": seed, "confidence": confidence}
            yield {"scoresA": a, "scoresB": b, "options": options, **bootstrap(a, b, **options)}


def bootstrap(a, b, samples, seed, confidence):
    differences = np.array(a) - np.array(b)
    stream = random.Random(seed)
    items = len(differences)
    means = np.array(
        [differences[[stream.randrange(items) for _ in range(items)]].mean() for _ in range(samples)]
    )
    measured = differences.mean()
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    as_far = np.abs(means - measured) >= abs(measured) - 1e-12
    own = stats.bootstrap(
        (differences,), np.mean, n_resamples=20000, confidence_level=confidence, method="percentile", rng=5
    ).confidence_interval
    return {
        "difference": float(measured),
        "interval": np.quantile(means, tails).tolist(),
        "p": (int(as_far.sum()) + 1) / (samples + 1),
        "scipy": [float(own.low), float(own.high)],
        "error": float(differences.std() / math.sqrt(items)),
    }


def smallest_rates():
    for eligible in (1, 10, 160, 165, 197, 5695):
        for confidence in (0.5, 0.9, 0.95, 0.999):
            test = stats.binomtest(0, eligible, alternative="less")
            high = float(test.proportion_ci(confidence, method="exact").high)
            yield {"eligible": eligible, "confidence": confidence, "rate": high}


answers = {
    "scikit-learn": sklearn.__version__,
    "scipy": scipy.__version__,
    "statsmodels": statsmodels.__version__,
    "classification": list(classification()),
    "filters": list(filters()),
    "passAtK": list(pass_at_k()),
    "reciprocalRanks": list(reciprocal_ranks()),
    "mcnemar": list(paired_tests()),
    "signFlips": list(sign_flips()),
    "bootstrap": list(bootstraps()),
    "smallestRates": list(smallest_rates()),
    "erfc": [[x, float(special.erfc(x))] for x in (0, 1e-9, 0.1, 0.7, 1, 2, 2.4999, 2.5, 3, 5, 10, 26)],
}
path = Path(__file__).parent.parent / "test" / "fixtures" / "metrics.json"
path.write_text(json.dumps(answers) + "\n")
