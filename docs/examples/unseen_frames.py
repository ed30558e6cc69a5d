"""Draw the test frames of a clip, which no fit has seen, and say how far each is from what was filmed."""

from rgb_core import Renderer, load_avatar, load_dataset
from rgb_core.images.compositing import prediction_on_black, truth_on_black

dataset = load_dataset("demo/dataset")
renderer = Renderer(load_avatar("demo/avatar"))
for frame in dataset.frames("test"):
    drawn = renderer.render(frame.pose, dataset.camera(frame))
    picture = prediction_on_black(drawn.color, drawn.alpha).clamp(0, 1)
    error = (picture - truth_on_black(dataset.load_rgba(frame))).square().mean()
    print(f"{frame.id}: {-10 * error.log10():.1f} dB")
