"""A light of one's own: a dim room with one square lamp that goes once around the head, as a video."""

import math

import torch

from rgb_core import Light, Renderer, linear_to_srgb, load_avatar, to_bytes, write_video

FRAMES, RATE = 12, 6.0  # pictures, and how many a second

room = torch.full((3, 16, 32), 0.05)  # linear radiance; row 0 is straight up, columns go round
room[:, 5:8, 14:17] = torch.tensor([9.0, 8.0, 7.0])[:, None, None]  # a warm lamp above eye level
lamp = Light(room)

avatar = load_avatar("demo/avatar")
renderer = Renderer(avatar)
camera, pose = avatar.portrait.camera.resized(192, 192), avatar.portrait_pose(mouthSmileLeft=0.4, mouthSmileRight=0.4)
turns = (lamp.rotated(2 * math.pi * index / FRAMES) for index in range(FRAMES))
colors = (renderer.render(pose, camera, light).color for light in turns)  # linear, over black
write_video("lamp.mp4", (to_bytes(linear_to_srgb(color)) for color in colors), RATE)
