// Posed vertices of the mesh: blendshapes and pose correctives, then linear blend skinning.
uniform sampler2D rest, skin, weights;
uniform usampler2D offsets;
uniform isampler2D pairs;
uniform vec3 pairStep;
uniform mat4 joints[8];
uniform int count, expressions;
layout(location = 0) out vec4 place;
layout(location = 1) out vec4 corrective;

void main() {
  int vertex = element();
  if (vertex >= count) discard;
  vec3 moved = vec3(0.0), corrected = vec3(0.0);
  int first = int(texelFetch(offsets, at(vertex), 0).r), end = int(texelFetch(offsets, at(vertex + 1), 0).r);
  for (int i = first; i < end; ++i) {
    ivec4 pair = texelFetch(pairs, at(i), 0);
    vec3 change = texelFetch(weights, ivec2(pair.w, 0), 0).r * vec3(pair.xyz) * pairStep;
    if (pair.w < expressions) moved += change; else corrected += change;
  }
  vec4 w0 = texelFetch(skin, at(2 * vertex), 0), w1 = texelFetch(skin, at(2 * vertex + 1), 0);
  mat4 motion = w0.x * joints[0] + w0.y * joints[1] + w0.z * joints[2] + w0.w * joints[3]
    + w1.x * joints[4] + w1.y * joints[5] + w1.z * joints[6] + w1.w * joints[7];
  place = motion * vec4(texelFetch(rest, at(vertex), 0).xyz + moved + corrected, 1.0);
  corrective = vec4(corrected, 0.0);
}
