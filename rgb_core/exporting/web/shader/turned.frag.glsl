// The light on the 32 x 16 grid of directions of every joint's rest axes, one grid below the other.
uniform sampler2D light;
uniform mat3 jointToLight[8];
layout(location = 0) out vec4 colour;

void main() {
  ivec2 texel = ivec2(gl_FragCoord.xy);
  int joint = texel.y >> 4;
  vec3 sum = vec3(0.0);
  float total = 0.0;
  for (int i = 0; i < 16; ++i) {
    vec2 uv = (vec2(texel.x, texel.y & 15) + (vec2(i & 3, i >> 2) + 0.5) / 4.0) / vec2(32.0, 16.0);
    float weight = cos(PI * (0.5 - uv.y));
    sum += weight * textureLod(light, panorama(jointToLight[joint] * direction(uv)), 0.0).rgb;
    total += weight;
  }
  colour = vec4(sum / total, 1.0);
}
