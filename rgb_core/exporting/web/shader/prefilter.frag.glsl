// The light averaged over the lobe of one roughness around every direction; above 1, the irradiance over pi.
uniform sampler2D light;  // 64 x 32
uniform float roughness;
layout(location = 0) out vec4 colour;

void main() {
  vec3 n = direction(gl_FragCoord.xy / vec2(64.0, 32.0));
  vec3 sum = vec3(0.0);
  float total = 0.0;
  for (int row = 0; row < 32; ++row) {
    float latitude = PI * (0.5 - (float(row) + 0.5) / 32.0);
    float area = 4.0 * PI / 64.0 * cos(latitude) * sin(PI / 64.0);
    for (int column = 0; column < 64; ++column) {
      vec3 l = direction((vec2(column, row) + 0.5) / vec2(64.0, 32.0));
      float weight = roughness > 1.0 ? max(dot(n, l), 0.0) / PI : lobe(n, n, l, roughness);
      sum += weight * area * texelFetch(light, ivec2(column, row), 0).rgb;
      total += weight * area;
    }
  }
  colour = vec4(roughness > 1.0 ? sum : sum / max(total, 1e-9), 1.0);
}
