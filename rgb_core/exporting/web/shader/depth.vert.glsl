// The posed mesh as a sharp light sees it.
uniform sampler2D places;
uniform mat4 matrix;

void main() { gl_Position = matrix * vec4(texelFetch(places, at(gl_VertexID), 0).xyz, 1.0); }
