// What reaches every mesh vertex: irradiance through the traced bits, and which share of its reflection is not hidden.
uniform sampler2D places, normals, skin, turned, directions, hidden;
uniform usampler2D bits, drivers;
uniform vec3 eye, open;
uniform mat3 joints[8];
uniform int count, jointCount;
uniform bool shadows;
const float ROUGHNESS = 0.4;  // of the lobe by which reflections are judged
layout(location = 0) out vec4 irradiance;  // over pi; hidden share of the hemisphere
layout(location = 1) out vec4 reflection;  // share of the reflection that is not hidden

void main() {
  int vertex = element();
  if (vertex >= count) discard;
  vec3 normal = texelFetch(normals, at(vertex), 0).xyz;
  vec3 view = normalize(eye - texelFetch(places, at(vertex), 0).xyz);
  float moved = open[int(texelFetch(drivers, at(vertex), 0).r)];
  vec3 sum = vec3(0.0);
  float seen = 0.0, whole = 1e-9;
  for (int joint = 0; joint < jointCount; ++joint) {
    float weight = texelFetch(skin, at(2 * vertex + (joint >> 2)), 0)[joint & 3];
    if (weight < 0.02) continue;
    vec3 n = transpose(joints[joint]) * normal, v = transpose(joints[joint]) * view;
    for (int row = 0; row < 16; ++row) {
      uint rest = texelFetch(bits, at(8 * vertex + (row >> 2)), 0)[row & 3];
      uint full = texelFetch(bits, at(8 * vertex + 4 + (row >> 2)), 0)[row & 3];
      for (int column = 0; column < 32; ++column) {
        vec4 texel = texelFetch(directions, ivec2(column, row), 0);  // w: solid angle
        float facing = dot(n, texel.xyz);
        if (facing <= 0.0) continue;
        float visible = shadows
          ? mix(float((rest >> column) & 1u), float((full >> column) & 1u), moved) : 1.0;
        vec3 light = weight * texel.w * texelFetch(turned, ivec2(column, 16 * joint + row), 0).rgb;
        sum += visible * facing * light;
        float reflected = luminance(light) * lobe(n, v, texel.xyz, ROUGHNESS);
        seen += visible * reflected;
        whole += reflected;
      }
    }
  }
  vec2 share = texelFetch(hidden, at(vertex), 0).rg;
  irradiance = vec4(sum / PI, shadows ? mix(share.x, share.y, moved) : 0.0);
  reflection = vec4(seen / whole, 0.0, 0.0, 1.0);
}
