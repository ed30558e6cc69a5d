"""Load an avatar, pose it, light it, draw it: three pictures of a jaw that opens under a sunset."""

from rgb_core import Light, Renderer, load_avatar, write_png

avatar = load_avatar("demo/avatar")
renderer = Renderer(avatar)
camera = avatar.portrait.camera.resized(512, 512)
light = Light.load("sunset").rotated(0.5)  # radians about the vertical
for percent in (0, 50, 100):
    pose = avatar.portrait_pose(jawOpen=percent / 100)
    frame = renderer.render(pose, camera, light)
    write_png(f"jaw_{percent}.png", frame.to_rgba())
