// What the graphics unit computes: first the values of a volume for every pixel of a pane, then what they look like.

export const EMPTY = -1e30;

export const TILE_VERTEX = `#version 300 es
in vec2 corner;
uniform vec4 place;
uniform vec4 part;
out vec2 at;
void main() {
  at = mix(part.xy, part.zw, corner);
  gl_Position = vec4(mix(place.xy, place.zw, corner), 0.0, 1.0);
}`;

// Interpolation is the cubic convolution of Keys with a = -0.5, over a border of two pixels that each tile brings.
export const TILE_FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D tile;
uniform int smoothly;
uniform float nothing;
in vec2 at;
out vec4 value;
float tap(ivec2 where, float instead) {
  float found = texelFetch(tile, clamp(where, ivec2(0), textureSize(tile, 0) - 1), 0).r;
  return (found <= nothing || found != found) ? instead : found;
}
vec4 cubic(float t) {
  float s = 1.0 - t;
  return vec4(-0.5 * t * s * s, 1.0 + t * t * (1.5 * t - 2.5), 1.0 + s * s * (1.5 * s - 2.5), -0.5 * s * t * t);
}
void main() {
  ivec2 own = ivec2(floor(at));
  float nearest = tap(own, ${EMPTY.toExponential()});
  if (nearest < -1e29) { discard; }
  if (smoothly == 0) { value = vec4(nearest, 0.0, 0.0, 1.0); return; }
  vec2 from = at - 0.5;
  ivec2 first = ivec2(floor(from));
  vec2 t = from - vec2(first);
  vec4 wx = smoothly == 1 ? vec4(0.0, 1.0 - t.x, t.x, 0.0) : cubic(t.x);
  vec4 wy = smoothly == 1 ? vec4(0.0, 1.0 - t.y, t.y, 0.0) : cubic(t.y);
  float sum = 0.0;
  for (int row = 0; row < 4; row++) {
    for (int column = 0; column < 4; column++) {
      sum += wy[row] * wx[column] * tap(first + ivec2(column - 1, row - 1), nearest);
    }
  }
  value = vec4(sum, 0.0, 0.0, 1.0);
}`;

export const PANE_VERTEX = `#version 300 es
in vec2 corner;
void main() { gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0); }`;

export const PANE_FRAGMENT = `#version 300 es
precision highp float;
uniform highp sampler2D image;
uniform highp sampler2D other;
uniform highp sampler2D map;
uniform vec2 origin;
uniform vec2 window;
uniform int kind;
uniform float opacity;
uniform float span;
uniform bool difference;
out vec4 colour;
const vec3 PALETTE[8] = vec3[8](
  vec3(0.90, 0.62, 0.00), vec3(0.34, 0.71, 0.91), vec3(0.00, 0.62, 0.45), vec3(0.94, 0.89, 0.26),
  vec3(0.00, 0.45, 0.70), vec3(0.84, 0.37, 0.00), vec3(0.80, 0.47, 0.65), vec3(0.60, 0.60, 0.60));
vec3 diverging(float x) {
  vec3 end = x < 0.0 ? vec3(0.13, 0.40, 0.67) : vec3(0.70, 0.09, 0.17);
  return mix(vec3(0.97), end, clamp(abs(x), 0.0, 1.0));
}
vec3 rising(float x) {
  float t = clamp(x, 0.0, 1.0);
  return t < 0.5 ? mix(vec3(0.0, 0.0, 0.01), vec3(0.73, 0.21, 0.33), t * 2.0)
                 : mix(vec3(0.73, 0.21, 0.33), vec3(0.99, 1.0, 0.64), t * 2.0 - 1.0);
}
bool isInside(ivec2 where) {
  float found = texelFetch(map, clamp(where, ivec2(0), textureSize(map, 0) - 1), 0).r;
  return found > -1e29 && abs(found) > 0.5;
}
void main() {
  ivec2 where = ivec2(gl_FragCoord.xy - origin);
  float value = texelFetch(image, where, 0).r;
  vec3 shown = vec3(0.07, 0.08, 0.10);
  if (value > -1e29) { shown = vec3(clamp((value - window.x) / (window.y - window.x), 0.0, 1.0)); }
  if (difference) {
    float second = texelFetch(other, where, 0).r;
    shown = (value > -1e29 && second > -1e29) ? diverging((value - second) / span) : vec3(0.07, 0.08, 0.10);
  }
  float laid = texelFetch(map, where, 0).r;
  if (kind == 1 && laid > -1e29) { shown = mix(shown, diverging(laid / span), opacity * clamp(1.5 * abs(laid / span), 0.0, 1.0)); }
  if (kind == 2 && laid > -1e29) { shown = mix(shown, rising(laid / span), opacity); }
  if (kind == 3) {
    bool own = isInside(where);
    bool edge = false;
    for (int dy = -1; dy <= 1; dy++) {
      for (int dx = -1; dx <= 1; dx++) { edge = edge || isInside(where + ivec2(dx, dy)) != own; }
    }
    if (edge) { shown = mix(shown, vec3(1.0, 0.83, 0.0), opacity); }
  }
  if (kind == 4 && laid > 0.5) { shown = mix(shown, PALETTE[(int(laid + 0.5) - 1) % 8], opacity); }
  colour = vec4(shown, 1.0);
}`;
