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
  if (smoothly == 1) {
    float top = mix(tap(first, nearest), tap(first + ivec2(1, 0), nearest), t.x);
    float bottom = mix(tap(first + ivec2(0, 1), nearest), tap(first + ivec2(1, 1), nearest), t.x);
    value = vec4(mix(top, bottom, t.y), 0.0, 0.0, 1.0);
    return;
  }
  vec4 wx = cubic(t.x);
  vec4 wy = cubic(t.y);
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

// One program for each kind of map, with and without a difference: what is not asked for costs nothing.
export function paneFragment(kind, difference) {
  const map = MAPS[kind];
  return `#version 300 es
precision highp float;
uniform highp sampler2D image;
uniform highp sampler2D other;
uniform highp sampler2D map;
uniform vec2 origin;
uniform vec2 window;
uniform float opacity;
uniform float span;
out vec4 colour;
const vec3 NONE = vec3(0.07, 0.08, 0.10);
vec3 diverging(float x) {
  vec3 end = x < 0.0 ? vec3(0.13, 0.40, 0.67) : vec3(0.70, 0.09, 0.17);
  return mix(vec3(0.97), end, clamp(abs(x), 0.0, 1.0));
}
${map.functions}
void main() {
  ivec2 where = ivec2(gl_FragCoord.xy - origin);
  float value = texelFetch(image, where, 0).r;
  ${difference ? DIFFERENCE : GREY}
  ${map.main}
  colour = vec4(shown, 1.0);
}`;
}

const GREY = "vec3 shown = value > -1e29 ? vec3(clamp((value - window.x) / (window.y - window.x), 0.0, 1.0)) : NONE;";

const DIFFERENCE = `float second = texelFetch(other, where, 0).r;
  vec3 shown = (value > -1e29 && second > -1e29) ? diverging((value - second) / span) : NONE;`;

const LAID = "float laid = texelFetch(map, where, 0).r;";

const MAPS = {
  none: { functions: "", main: "" },
  agreement: {
    functions: "",
    main: `${LAID}
  float strength = opacity * clamp(1.5 * abs(laid / span), 0.0, 1.0);
  if (laid > -1e29) { shown = mix(shown, diverging(laid / span), strength); }`,
  },
  uncertainty: {
    functions: `vec3 rising(float x) {
  float t = clamp(x, 0.0, 1.0);
  return t < 0.5 ? mix(vec3(0.0, 0.0, 0.01), vec3(0.73, 0.21, 0.33), t * 2.0)
                 : mix(vec3(0.73, 0.21, 0.33), vec3(0.99, 1.0, 0.64), t * 2.0 - 1.0);
}`,
    main: `${LAID}
  if (laid > -1e29) { shown = mix(shown, rising(laid / span), opacity); }`,
  },
  mask: {
    functions: `bool isInside(ivec2 where) {
  float found = texelFetch(map, clamp(where, ivec2(0), textureSize(map, 0) - 1), 0).r;
  return found > -1e29 && abs(found) > 0.5;
}`,
    main: `bool own = isInside(where);
  bool edge = false;
  for (int dy = -1; dy <= 1; dy++) {
    for (int dx = -1; dx <= 1; dx++) { edge = edge || isInside(where + ivec2(dx, dy)) != own; }
  }
  if (edge) { shown = mix(shown, vec3(1.0, 0.83, 0.0), opacity); }`,
  },
  labels: {
    functions: `vec3 ofLabel(int number) {
  int one = number % 8;
  if (one == 0) { return vec3(0.90, 0.62, 0.00); }
  if (one == 1) { return vec3(0.34, 0.71, 0.91); }
  if (one == 2) { return vec3(0.00, 0.62, 0.45); }
  if (one == 3) { return vec3(0.94, 0.89, 0.26); }
  if (one == 4) { return vec3(0.00, 0.45, 0.70); }
  if (one == 5) { return vec3(0.84, 0.37, 0.00); }
  if (one == 6) { return vec3(0.80, 0.47, 0.65); }
  return vec3(0.60);
}`,
    main: `${LAID}
  if (laid > 0.5) { shown = mix(shown, ofLabel(int(laid + 0.5) - 1), opacity); }`,
  },
};
