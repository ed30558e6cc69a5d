"""Drop-in for upstream's extension `_diff_envshade`: the same 19 functions, arguments by position.

All take CPU or CUDA tensors, get_nearest_mesh_points_forward those of the CPU alone.
Autograd users want `diff_envshade.shade`; these functions are for code written against upstream.
"""

from diff_envshade.upstream_geometry import (
    blur_envmap_forward,
    extract_bitfield_forward,
    generate_camera_ray_forward,
    get_nearest_mesh_points_backward,
    get_nearest_mesh_points_forward,
    get_uv_of_triangle_backward,
    get_uv_of_triangle_forward,
    mt_format_conversion_forward,
    sample_envmap_forward,
)
from diff_envshade.upstream_shaders import (
    bruteforce_diffuse_shader_backward,
    bruteforce_diffuse_shader_forward,
    bruteforce_specular_shader_backward,
    bruteforce_specular_shader_backward2,
    bruteforce_specular_shader_clamp_backward,
    bruteforce_specular_shader_clamp_forward,
    bruteforce_specular_shader_forward,
    bruteforce_specular_shader_forward2,
    bruteforce_specularvisibility_shader_backward2,
    bruteforce_specularvisibility_shader_forward2,
)

__all__ = [
    "blur_envmap_forward",
    "bruteforce_diffuse_shader_backward",
    "bruteforce_diffuse_shader_forward",
    "bruteforce_specular_shader_backward",
    "bruteforce_specular_shader_backward2",
    "bruteforce_specular_shader_clamp_backward",
    "bruteforce_specular_shader_clamp_forward",
    "bruteforce_specular_shader_forward",
    "bruteforce_specular_shader_forward2",
    "bruteforce_specularvisibility_shader_backward2",
    "bruteforce_specularvisibility_shader_forward2",
    "extract_bitfield_forward",
    "generate_camera_ray_forward",
    "get_nearest_mesh_points_backward",
    "get_nearest_mesh_points_forward",
    "get_uv_of_triangle_backward",
    "get_uv_of_triangle_forward",
    "mt_format_conversion_forward",
    "sample_envmap_forward",
]
