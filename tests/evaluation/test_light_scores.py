"""The light is measured by what it does to a surface, where it is brightest, and its colours."""

import math

import pytest
import torch
from diff_envshade import texel_directions

from rgb_core.evaluation.light import brightest, level_line, light_scores
from rgb_core.evaluation.parts import PartErrors
from rgb_core.evaluation.pictures import ball_picture
from rgb_core.scene import Light
from rgb_core.scene.builtin_lights import builtin_light
from rgb_core.scene.labels import Label

HEIGHT, WIDTH = 16, 32


def lamp(direction: tuple[float, float, float], colour: tuple[float, float, float] = (1, 1, 1)) -> Light:
    """A lamp of 10 degrees over a dim room."""
    cosine = texel_directions(HEIGHT, WIDTH) @ torch.nn.functional.normalize(
        torch.tensor(direction, dtype=torch.float32), dim=0
    )
    radiance = 0.1 + 30 * (cosine > math.cos(math.radians(10))).float()
    return Light(radiance.view(1, HEIGHT, WIDTH) * torch.tensor(colour).view(3, 1, 1))


def test_a_light_that_is_right_but_for_its_level_scores_perfectly():
    true = Light(builtin_light("window", HEIGHT, WIDTH))
    scores = light_scores(Light(0.3 * true.radiance), true)
    assert scores["irradiance_error"] == pytest.approx(0, abs=1e-5)
    assert scores["chroma_upper"] == pytest.approx(0, abs=1e-6)
    assert scores["chroma_lower"] == pytest.approx(0, abs=1e-6)


def test_the_angle_is_that_between_the_lamps():
    """Azimuths 30 degrees apart, both at the horizon, to within a texel."""
    turned = (math.sin(math.radians(30)), 0.0, math.cos(math.radians(30)))
    angle = light_scores(lamp((0, 0, 1)), lamp(turned))["brightest_deg"]
    assert angle == pytest.approx(30, abs=6)


def test_a_light_without_a_lamp_has_no_direction():
    even = Light(torch.ones(3, HEIGHT, WIDTH))
    assert light_scores(lamp((0, 0, 1)), even)["brightest_deg"] is None


def test_the_brightest_direction_counts_energy_not_peaks():
    """A bright texel at the zenith is smaller than a window: the window sends more light."""
    radiance = torch.full((3, HEIGHT, WIDTH), 0.1)
    radiance[:, 0, 0] = 20.0
    radiance[:, 7:9, 4:8] = 10.0
    assert float(brightest(radiance).direction[1].abs()) < 0.2


def test_a_lamp_of_the_wrong_colour_costs_chroma_alone():
    wrong, true = lamp((0, 1, 0.2), (1.5, 1.0, 0.5)), lamp((0, 1, 0.2))
    scores = light_scores(wrong, true)
    assert scores["brightest_deg"] == pytest.approx(0, abs=0.1)
    # (1/2, 1/3, 1/6) against thirds
    assert scores["chroma_upper"] == pytest.approx(math.sqrt(2) / 6, abs=1e-4)


def test_without_truth_there_is_no_score():
    assert set(light_scores(lamp((0, 0, 1)), None).values()) == {None}


def test_a_ball_is_bright_on_the_side_of_the_lamp():
    picture = ball_picture(lamp((1, 0, 0.3)).radiance).float()
    half = picture.shape[1] // 2
    assert float(picture[:, half:].mean()) > 1.5 * float(picture[:, :half].mean())


def test_parts_pool_their_own_pixels():
    """Eyes off by 0.1 score 20 dB whatever the skin does; a part without pixels has no score."""
    truth, labels = torch.full((4, 4, 3), 0.5), torch.full((4, 4), int(Label.SKIN), dtype=torch.uint8)
    labels[0, :2] = int(Label.LEFT_EYE)
    prediction = truth.clone()
    prediction[0, :2] += 0.1
    errors = PartErrors()
    errors.add(prediction, truth, labels)
    scores = errors.scores()
    assert scores["eyes"] == pytest.approx(20, abs=1e-3)
    assert scores["skin"] == 100
    assert scores["hair"] is None


def test_the_report_says_which_level_was_found_and_how_sure_it_is():
    line = level_line({"level": {"skin_albedo": [0.34, 0.17, 0.11], "known_within": 1.28}, "seed": 0})
    assert line == {"albedo of the face": "0.34 0.17 0.11, known within a factor of 1.28 before gloss"}
    assert level_line({"seed": 0}) == {}
