"""What the avatar is made of (albedo, roughness, normals as pictures), and the same head with a wet skin."""

from dataclasses import replace

from rgb_core import Light, Renderer, linear_to_srgb, load_avatar, write_png

avatar = load_avatar("demo/avatar")
camera, pose, sun = avatar.portrait.camera.resized(256, 256), avatar.portrait_pose(), Light.load("sun")
frame = Renderer(avatar).render(pose, camera, sun, layers=("albedo", "roughness", "normal"))
write_png("albedo.png", linear_to_srgb(frame.layers["albedo"]))
write_png("roughness.png", frame.layers["roughness"])
write_png("normals.png", (frame.layers["normal"] + frame.alpha[..., None]) / 2)
write_png("dry.png", frame.to_rgba())

# Materials are stored as logits (the page on formats says of what): smaller is smoother.
smoother = {**avatar.neutral, "roughness": avatar.neutral["roughness"] - 1.5}
wet = Renderer(replace(avatar, neutral=smoother)).render(pose, camera, sun)
write_png("wet.png", wet.to_rgba())
