"""The 52 ARKit blendshape names, and how other spellings and splits of them relate."""

ARKIT_NAMES = (
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)
"""Left and right are the head's own."""

GAZE = "eyeLook"
"""What the names of the shapes that turn the eyes begin with."""

SPLIT_BY_SIDE = ("browInnerUp", "cheekPuff")
"""One shape in ARKit, a left and a right one in ICT-FaceKit."""

_HALVES = {name: frozenset({f"{name}Left", f"{name}Right"}) for name in SPLIT_BY_SIDE}
_PARTS = {name: _HALVES.get(name, frozenset({name})) for name in ARKIT_NAMES} | {
    half: frozenset({half}) for halves in _HALVES.values() for half in halves
}


def arkit_parts(name: str) -> frozenset[str]:
    """The one-sided ARKit movements that the expression called `name` makes; empty where it is no ARKit shape.

    Understands `browDownLeft` and `browDown_L` alike.
    """
    for suffix, side in (("_L", "Left"), ("_R", "Right")):
        if name.endswith(suffix):
            name = name.removesuffix(suffix) + side
    return _PARTS.get(name, frozenset())
