"""One sheet with a picture of every expression at full strength, under the light of the avatar's own clip."""

from rgb_core import Renderer, linear_to_srgb, load_avatar, to_bytes, write_png
from rgb_core.images.contact_sheet import Tile, contact_sheet

SHOWN = ("jawOpen", "mouthSmileLeft", "mouthPucker", "browInnerUp", "eyeBlinkLeft", "cheekPuff")
COLUMNS = 3

avatar = load_avatar("demo/avatar")
renderer = Renderer(avatar)
camera = avatar.portrait.camera.resized(160, 160)
tiles = []
for name in SHOWN:  # all names: avatar.head.expression_names
    frame = renderer.render(avatar.portrait_pose(**{name: 1.0}), camera)
    tiles.append(Tile(to_bytes(linear_to_srgb(frame.color)), name))
rows = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]
write_png("expressions.png", contact_sheet(rows))
