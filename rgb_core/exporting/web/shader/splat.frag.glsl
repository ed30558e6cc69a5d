in vec3 colour;
in vec2 offset;
flat in vec4 shape;
layout(location = 0) out vec4 premultiplied;

void main() {
  float power = -0.5 * (shape.x * offset.x * offset.x + shape.z * offset.y * offset.y) - shape.y * offset.x * offset.y;
  float alpha = min(shape.w * exp(power), 0.99);
  if (alpha < 1.0 / 255.0) discard;
  premultiplied = vec4(colour * alpha, alpha);
}
