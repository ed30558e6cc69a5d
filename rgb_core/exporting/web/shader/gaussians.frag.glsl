// Posed Gaussians with their materials: sparse changes by expressions, skinning, then the activations of the fit.
uniform sampler2D neutral, weights, skin, normals, correctives, changes;
uniform usampler2D attached, offsets;
uniform isampler2D pairs;
uniform vec3 placeStep;
uniform vec4 changeStep[4];
uniform float specularStep, leastRoughness;
uniform mat4 joints[8];
uniform int count;
layout(location = 0) out vec4 place;       // metres, opacity
layout(location = 1) out vec4 spread;      // covariance xx, xy, xz, yy in mm^2
layout(location = 2) out vec4 rest;        // covariance yz, zz, roughness, specular albedo
layout(location = 3) out uvec4 surface;    // albedo and normal, packed; region

mat3 polar(mat3 m) {
  for (int i = 0; i < 4; ++i) m = 0.5 * (m + transpose(inverse(m)));
  return m;
}

vec3 sigmoid(vec3 x) { return 1.0 / (1.0 + exp(-x)); }

void main() {
  int id = element();
  if (id >= count) discard;
  vec4 n0 = texelFetch(neutral, at(5 * id), 0), n1 = texelFetch(neutral, at(5 * id + 1), 0);
  vec4 n2 = texelFetch(neutral, at(5 * id + 2), 0), n3 = texelFetch(neutral, at(5 * id + 3), 0);
  vec4 n4 = texelFetch(neutral, at(5 * id + 4), 0);

  vec3 shift = vec3(0.0);
  vec4 c0 = vec4(0.0), c1 = vec4(0.0), c2 = vec4(0.0), c3 = vec4(0.0);
  float shine = 0.0;
  int first = int(texelFetch(offsets, at(id), 0).r), end = int(texelFetch(offsets, at(id + 1), 0).r);
  for (int i = first; i < end; ++i) {
    ivec4 pair = texelFetch(pairs, at(i), 0);  // w: the expression in the low byte, change of specular in the high one
    float weight = texelFetch(weights, ivec2(pair.w & 255, 0), 0).r;
    if (weight == 0.0) continue;
    shift += weight * vec3(pair.xyz);
    c0 += weight * texelFetch(changes, at(4 * i), 0);
    c1 += weight * texelFetch(changes, at(4 * i + 1), 0);
    c2 += weight * texelFetch(changes, at(4 * i + 2), 0);
    c3 += weight * texelFetch(changes, at(4 * i + 3), 0);
    shine += weight * float(pair.w >> 8);
  }

  uvec4 attach = texelFetch(attached, at(id), 0);
  vec3 b = vec3(vec2(attach.w & 65535u, attach.w >> 16) / 65535.0, 0.0);
  b.z = 1.0 - b.x - b.y;
  vec4 w0 = vec4(0.0), w1 = vec4(0.0);
  vec3 meshNormal = vec3(0.0);
  for (int k = 0; k < 3; ++k) {
    int corner = int(attach[k]);
    w0 += b[k] * texelFetch(skin, at(2 * corner), 0);
    w1 += b[k] * texelFetch(skin, at(2 * corner + 1), 0);
    meshNormal += b[k] * texelFetch(normals, at(corner), 0).xyz;
    shift += b[k] * texelFetch(correctives, at(corner), 0).xyz / placeStep;
  }
  mat4 motion = w0.x * joints[0] + w0.y * joints[1] + w0.z * joints[2] + w0.w * joints[3]
    + w1.x * joints[4] + w1.y * joints[5] + w1.z * joints[6] + w1.w * joints[7];

  vec4 turn = c0 * changeStep[0] + vec4(1.0, 0.0, 0.0, 0.0);
  mat3 axes = polar(mat3(motion)) * turnOf(normalize(turn)) * turnOf(normalize(n1 + c1 * changeStep[1]));
  vec3 scale = exp(n2.xyz + c2.xyz * changeStep[2].xyz) * 1e3;
  mat3 root = mat3(axes[0] * scale.x, axes[1] * scale.y, axes[2] * scale.z);
  mat3 cov = root * transpose(root);
  vec3 albedo = sigmoid(n3.xyz + c3.xyz * changeStep[3].xyz);
  float roughness = leastRoughness + (1.0 - leastRoughness) / (1.0 + exp(-(n3.w + c3.w * changeStep[3].w)));
  float specular = 1.0 / (1.0 + exp(-(n4.x + shine * specularStep)));
  float opacity = 1.0 / (1.0 + exp(-(n2.w + c2.w * changeStep[2].w)));
  vec3 normal = normalize(normalize(meshNormal) + axes * n4.yzw);

  place = vec4((motion * vec4(n0.xyz + shift * placeStep, 1.0)).xyz, opacity);
  spread = vec4(cov[0][0], cov[0][1], cov[0][2], cov[1][1]);
  rest = vec4(cov[1][2], cov[2][2], roughness, specular);
  surface = uvec4(packHalf2x16(albedo.rg), packHalf2x16(vec2(albedo.b, 0.0)), packSnorm2x16(fold(normal)), uint(n0.w));
}
