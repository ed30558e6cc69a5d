// One square around every Gaussian, projected as 3D Gaussian splatting does (EWA, Zwicker et al. 2001).
uniform sampler2D places, spreads, rests, radiance;
uniform mat4 worldToCamera;   // OpenCV axes: x right, y down, z forward
uniform vec4 lens;            // fx, fy, cx, cy in pixels
uniform vec2 size;
uniform bool antialias;
in uint order;
out vec3 colour;
out vec2 offset;              // pixels from the centre
flat out vec4 shape;          // inverse covariance xx, xy, yy; opacity
const float LOW_PASS = 0.3;   // px^2
const float LEAST_ALPHA = 1.0 / 255.0;
const float NEAR = 0.05;

void main() {
  int id = int(order);
  vec4 place = texelFetch(places, at(id), 0);
  vec4 s = texelFetch(spreads, at(id), 0), r = texelFetch(rests, at(id), 0);
  vec3 p = (worldToCamera * vec4(place.xyz, 1.0)).xyz;
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  if (p.z < NEAR) return;
  vec2 margin = 0.15 * size / lens.xy;
  vec2 t = clamp(p.xy / p.z, -lens.zw / lens.xy - margin, (size - lens.zw) / lens.xy + margin);
  mat3 jacobian = mat3(lens.x / p.z, 0.0, 0.0, 0.0, lens.y / p.z, 0.0, -lens.x * t.x / p.z, -lens.y * t.y / p.z, 0.0);
  mat3 linear = jacobian * mat3(worldToCamera);
  mat3 cov = 1e-6 * linear * mat3(s.x, s.y, s.z, s.y, s.w, r.x, s.z, r.x, r.y) * transpose(linear);
  float a = cov[0][0] + LOW_PASS, c = cov[1][1] + LOW_PASS, m = cov[0][1];
  float determinant = a * c - m * m, opacity = place.w;
  if (antialias) opacity *= sqrt(max(cov[0][0] * cov[1][1] - m * m, 0.0) / determinant);
  if (opacity < LEAST_ALPHA) return;
  shape = vec4(c, -m, a, 0.0) / determinant;
  shape.w = opacity;
  // Along the ellipse's axes, as far out as the Gaussian is seen.
  float middle = 0.5 * (a + c), gap = sqrt(max(middle * middle - determinant, 1e-8));
  vec2 axis = abs(m) > 1e-6 ? normalize(vec2(m, middle + gap - a)) : (a > c ? vec2(1.0, 0.0) : vec2(0.0, 1.0));
  float reach = sqrt(2.0 * log(opacity / LEAST_ALPHA));
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
  vec2 half_ = reach * sqrt(max(vec2(middle + gap, middle - gap), 0.0)) * corner;
  offset = half_.x * axis + half_.y * vec2(-axis.y, axis.x);
  vec2 pixel = lens.xy * p.xy / p.z + lens.zw + offset;
  gl_Position = vec4((2.0 * pixel / size - 1.0) * vec2(1.0, -1.0), 0.0, 1.0);
  colour = texelFetch(radiance, at(id), 0).rgb;
}
