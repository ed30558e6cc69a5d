// Exposure, what is behind the head, and sRGB.
uniform sampler2D picture, light;
uniform mat3 cameraToLight;
uniform vec4 lens;
uniform vec2 size;
uniform float gain;
uniform int behind;      // 0 nothing (transparent), 1 a plain backdrop, 2 the surroundings
uniform vec3 backdrop;   // sRGB
uniform bool encoded;    // the picture is to be shown as it is
layout(location = 0) out vec4 shown;

vec3 srgb(vec3 linear) {
  linear = clamp(linear, 0.0, 1.0);
  return mix(12.92 * linear, 1.055 * pow(linear, vec3(1.0 / 2.4)) - 0.055, step(0.0031308, linear));
}

vec3 linearOf(vec3 s) { return mix(s / 12.92, pow((s + 0.055) / 1.055, vec3(2.4)), step(0.04045, s)); }

void main() {
  vec4 head = texelFetch(picture, ivec2(gl_FragCoord.xy), 0);
  vec2 pixel = vec2(gl_FragCoord.x, size.y - gl_FragCoord.y);
  vec3 back = vec3(0.0);
  if (behind == 1) {
    vec2 from = (pixel - vec2(0.5, 0.42) * size) / max(size.x, size.y);
    back = linearOf(backdrop * mix(1.35, 0.55, smoothstep(0.0, 0.75, length(from)))) / (encoded ? 1.0 : gain);
  } else if (behind == 2) {
    vec3 ray = cameraToLight * vec3((pixel - lens.zw) / lens.xy, 1.0);
    back = min(textureLod(light, panorama(normalize(ray)), 0.0).rgb, vec3(1.0 / gain));
  }
  vec3 noise = vec3(fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) - 0.5) / 255.0;
  vec3 colour = encoded ? head.rgb + (1.0 - head.a) * srgb(back) : srgb((head.rgb + (1.0 - head.a) * back) * gain);
  shown = vec4(behind == 1 ? colour + (1.0 - head.a) * noise : colour, behind == 0 ? head.a : 1.0);
}
