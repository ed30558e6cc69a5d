#version 300 es
// What several passes share. Lists lie in textures 2048 texels wide, one element after the other.
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2D;
precision highp usampler2D;
precision highp sampler2DArray;
precision highp sampler2DShadow;

const float PI = 3.14159265358979;
const float FRESNEL = 0.04;

ivec2 at(int index) { return ivec2(index & 2047, index >> 11); }

// The list's element that a fragment of a pass over a list works on.
#define element() (int(gl_FragCoord.y) * 2048 + int(gl_FragCoord.x))

// Rotation of a unit quaternion (w, x, y, z).
mat3 turnOf(vec4 q) {
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(
    1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
    2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
    2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

// Where a panorama shows a direction: +y up, the seam on +x, columns from +x towards +z.
vec2 panorama(vec3 d) {
  return vec2(atan(d.z, d.x) / (2.0 * PI), 0.5 - asin(clamp(d.y, -1.0, 1.0)) / PI);
}

vec3 direction(vec2 uv) {
  float azimuth = 2.0 * PI * uv.x, latitude = PI * (0.5 - uv.y);
  return vec3(cos(latitude) * cos(azimuth), sin(latitude), cos(latitude) * sin(azimuth));
}

// GGX with Smith's masking in Schlick's form, times n.l, without the Fresnel term: the lobe of the fit.
float lobe(vec3 n, vec3 v, vec3 l, float roughness) {
  vec3 sum = l + v;
  float q = dot(sum, sum), lit = max(dot(n, l), 0.0), facing = max(dot(n, v), 0.0);
  if (q < 1e-6) return 0.0;
  float nh = dot(n, sum) * inversesqrt(q);
  float a2 = roughness * roughness * roughness * roughness;
  float u = nh * nh * (a2 - 1.0) + 1.0;
  float k = (roughness + 1.0) * (roughness + 1.0) / 8.0;
  float masking = lit / ((lit * (1.0 - k) + k) * (facing * (1.0 - k) + k));
  return masking * a2 / max(PI * u * u, 1e-9) / 4.0;
}

float fresnel(vec3 v, vec3 l) {
  float lh = dot(l, normalize(l + v + vec3(1e-9)));
  return FRESNEL + (1.0 - FRESNEL) * pow(1.0 - clamp(lh, 0.0, 1.0), 5.0);
}

float luminance(vec3 colour) { return dot(colour, vec3(0.2126, 0.7152, 0.0722)); }

// Unit vectors as two numbers in [-1, 1].
vec2 fold(vec3 n) {
  vec2 p = n.xy / (abs(n.x) + abs(n.y) + abs(n.z));
  vec2 outside = (1.0 - abs(p.yx)) * vec2(p.x < 0.0 ? -1.0 : 1.0, p.y < 0.0 ? -1.0 : 1.0);
  return n.z < 0.0 ? outside : p;
}

vec3 unfold(vec2 p) {
  vec3 n = vec3(p, 1.0 - abs(p.x) - abs(p.y));
  float t = max(-n.z, 0.0);
  n.xy -= vec2(n.x < 0.0 ? -t : t, n.y < 0.0 ? -t : t);
  return normalize(n);
}
