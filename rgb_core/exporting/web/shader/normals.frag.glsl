// Vertex normals of the posed mesh: the sum of the areas of the faces around, so that large faces count more.
uniform sampler2D places;
uniform usampler2D offsets, around;
uniform int count;
layout(location = 0) out vec4 normal;

void main() {
  int vertex = element();
  if (vertex >= count) discard;
  vec3 here = texelFetch(places, at(vertex), 0).xyz, sum = vec3(0.0);
  int first = int(texelFetch(offsets, at(vertex), 0).r), end = int(texelFetch(offsets, at(vertex + 1), 0).r);
  for (int i = first; i < end; ++i) {
    uvec2 next = texelFetch(around, at(i), 0).rg;
    sum += cross(texelFetch(places, at(int(next.x)), 0).xyz - here, texelFetch(places, at(int(next.y)), 0).xyz - here);
  }
  normal = vec4(sum * inversesqrt(max(dot(sum, sum), 1e-30)), 0.0);
}
