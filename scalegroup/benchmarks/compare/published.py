"""What has been published on MNIST-Scale, to stand beside what was measured here."""

from __future__ import annotations

from typing import NamedTuple

from scalegroup.benchmarks.compare.networks import PLAIN


class Published(NamedTuple):
    """Accuracies on test images in per cent.

    Args:
        mnist_scale: on MNIST-Scale, with its deviation over the realisations; "" where there is none.
        by_resolution: on MNIST at resolutions from 8 to 28 by ideal down-sampling; "" where there is none.
    """

    mnist_scale: str = ""
    by_resolution: str = ""


PUBLISHED = {
    PLAIN: Published(by_resolution="97.37"),
    "kanazawa2014": Published("97.56 ± 0.13", "97.97"),
    "xu2014": Published("97.53 ± 0.12"),
    "marcos2018": Published("97.28 ± 0.16"),
    "worrall2019": Published("97.34 ± 0.13", "97.31"),
    "ghosh2019": Published("97.68 ± 0.15", "96.13"),
    "sosnovik2019": Published("97.92 ± 0.09", "97.91"),
    "zhu2019": Published("97.91 ± 0.08"),
    "naderi2020": Published("97.16"),
    "sosnovik2021": Published(by_resolution="98.56"),
    "rahman2023": Published(by_resolution="98.89"),
    "li2024": Published("98.30 ± 0.06"),
}
SOURCES = """*Li et al.*: Scale-MNIST as tabulated by Li et al. (CVPR 2024), most rows taken there from Zhu et al.;
10,000 training and 50,000 test images, 6 realisations, networks of about 500,000 weights, each method's own
architecture and schedule. The rows were read from running text: look them up before quoting. *Rahman and Yeh*: their
poster, MNIST at resolutions from 8 to 28 by ideal down-sampling, another data set of a similar name."""
