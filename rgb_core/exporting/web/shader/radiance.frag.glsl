// The light that every Gaussian sends to the camera.
uniform sampler2D places, materials, corners, normals, irradiance, reflection, light, response;
uniform usampler2D surfaces, attached;
uniform sampler2DArray prefiltered;
uniform sampler2DShadow sunDepth, lampDepth;
uniform mat3 worldToLight;
uniform vec3 eye, sunDirection, sunColour, lampPlace, lampColour;
uniform mat4 sunMatrix, lampMatrix;
uniform float sunBlur, lampBlur;
uniform vec4 tint[10];     // by region: factor of the albedo, factor of the specular albedo
uniform float roughen[10]; // by region: factor of the roughness
uniform int count, channel;
uniform bool bounce, shadows;
layout(location = 0) out vec4 colour;

vec3 irradianceOf(vec3 n) { return textureLod(prefiltered, vec3(panorama(worldToLight * n), 5.0), 0.0).rgb; }

vec3 reflectionOf(vec3 d, float roughness) {
  vec2 uv = panorama(worldToLight * d);
  float level = roughness < 0.3 ? (roughness - 0.1) / 0.2
    : roughness < 0.6 ? 1.0 + (roughness - 0.3) / 0.15 : 3.0 + (roughness - 0.6) / 0.2;
  float below = floor(level);
  vec3 sharp = below < 1.0 ? textureLod(light, uv, 0.0).rgb : textureLod(prefiltered, vec3(uv, below - 1.0), 0.0).rgb;
  return mix(sharp, textureLod(prefiltered, vec3(uv, min(below, 4.0)), 0.0).rgb, level - below);
}

// Share of a sharp light that reaches a point of the posed mesh, blurred over `blur` of its depth map.
float reaching(sampler2DShadow depth, mat4 matrix, vec3 point, float blur) {
  if (!shadows) return 1.0;
  vec4 clip = matrix * vec4(point, 1.0);
  vec3 p = clip.xyz / clip.w * 0.5 + 0.5;
  float sum = 0.0;
  for (int i = 0; i < 16; ++i) {
    float radius = blur * sqrt((float(i) + 0.5) / 16.0), angle = 2.39996 * float(i);
    sum += texture(depth, vec3(p.xy + radius * vec2(cos(angle), sin(angle)), p.z));
  }
  return sum / 16.0;
}

void main() {
  int id = element();
  if (id >= count) discard;
  vec3 place = texelFetch(places, at(id), 0).xyz;
  vec2 material = texelFetch(materials, at(id), 0).zw;
  uvec4 surface = texelFetch(surfaces, at(id), 0);
  uvec4 attach = texelFetch(attached, at(id), 0);
  int region = int(surface.w);
  vec3 albedo = clamp(vec3(unpackHalf2x16(surface.x), unpackHalf2x16(surface.y).x) * tint[region].rgb, 0.0, 1.0);
  vec3 n = unfold(unpackSnorm2x16(surface.z));
  float roughness = clamp(material.x * roughen[region], 0.1, 1.0);
  float specular = material.y * tint[region].a;

  vec3 b = vec3(vec2(attach.w & 65535u, attach.w >> 16) / 65535.0, 0.0);
  b.z = 1.0 - b.x - b.y;
  vec3 base = vec3(0.0), meshNormal = vec3(0.0);
  vec4 arriving = vec4(0.0);
  float seen = 0.0;
  for (int k = 0; k < 3; ++k) {
    ivec2 corner = at(int(attach[k]));
    base += b[k] * texelFetch(corners, corner, 0).xyz;
    meshNormal += b[k] * texelFetch(normals, corner, 0).xyz;
    arriving += b[k] * texelFetch(irradiance, corner, 0);
    seen += b[k] * texelFetch(reflection, corner, 0).r;
  }
  meshNormal = normalize(meshNormal);
  vec3 v = normalize(eye - place), smooth_ = irradianceOf(meshNormal);
  vec3 diffuse = arriving.rgb * clamp(irradianceOf(n) / max(smooth_, 1e-6), 0.0, 4.0);

  // Dominant direction of a rough reflection: between mirror and normal (Lagarde and de Rousiers 2014).
  float a = roughness * roughness;
  vec3 mirrored = normalize(mix(n, reflect(-v, n), (1.0 - a) * (sqrt(1.0 - a) + a)));
  float answer = texture(response, vec2(max(dot(n, v), 0.0), (roughness - 0.1) / 0.9)).r;
  vec3 gleam = seen * answer * reflectionOf(mirrored, roughness);

  vec3 lifted = base + 1e-3 * meshNormal;
  float facingSun = dot(n, sunDirection), lit = 0.0, unlit = luminance(smooth_);
  if (luminance(sunColour) > 0.0) {
    float reached = facingSun > 0.0 ? reaching(sunDepth, sunMatrix, lifted, sunBlur) : 0.0;
    diffuse += reached * max(facingSun, 0.0) / PI * sunColour;
    gleam += reached * lobe(n, v, sunDirection, roughness) * fresnel(v, sunDirection) * sunColour;
    unlit += max(facingSun, 0.0) / PI * luminance(sunColour);
  }
  if (luminance(lampColour) > 0.0) {
    vec3 way = lampPlace - place, l = normalize(way);
    vec3 power = lampColour / dot(way, way);
    float facing = dot(n, l), reached = facing > 0.0 ? reaching(lampDepth, lampMatrix, lifted, lampBlur) : 0.0;
    diffuse += reached * max(facing, 0.0) / PI * power;
    gleam += reached * lobe(n, v, l, roughness) * fresnel(v, l) * power;
    unlit += max(facing, 0.0) / PI * luminance(power);
  }
  vec3 gained = albedo * diffuse / (bounce ? max(1.0 - albedo * arriving.a, 0.05) : vec3(1.0));
  colour.a = 1.0;
  if (channel == 0) colour.rgb = gained + specular * gleam;
  else if (channel == 1) colour.rgb = albedo;
  else if (channel == 2) colour.rgb = n * 0.5 + 0.5;
  else if (channel == 3) colour.rgb = vec3(roughness);
  else if (channel == 4) colour.rgb = gained;
  else if (channel == 5) colour.rgb = specular * gleam;
  else colour.rgb = vec3(clamp(luminance(diffuse) / max(unlit, 1e-6), 0.0, 1.0));
}
