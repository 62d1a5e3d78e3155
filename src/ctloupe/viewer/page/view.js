// What is looked at, and how: one plain object, written into the address and read from it again.

import { IN_PLANE, extent, middle, middleOfSlice, sliceOf } from "./geometry.js";

export const MODES = ["side", "swipe", "blink"];

export function images(scene) {
  return scene.layers.map((layer, number) => ({ ...layer, number })).filter((layer) => layer.role === "image");
}

export function maps(scene) {
  return scene.layers.map((layer, number) => ({ ...layer, number })).filter((layer) => layer.role !== "image");
}

export function offered(scene, axis) {
  return images(scene).some((layer) => layer.planes[axis].length > 0);
}

export function firstView(scene) {
  const shown = images(scene);
  const smallest = shown.reduce((one, other) => (covers(one, other) ? other : one), shown[0]);
  const view = {
    plane: 0,
    centre: middle(smallest),
    zoom: 1,
    window: windowOf(scene),
    mode: "side",
    panes: shown.slice(0, scene.firstPanes ?? 3).map((layer) => layer.number),
    smooth: false,
    map: -1,
    opacity: 0.6,
    span: 100,
    divider: 0.5,
    difference: false,
    turn: 0,
    wheel: "zoom",
    ...scene.view,
  };
  onSlice(scene, view);
  return view;
}

function covers(one, other) {
  return extent(one, 1) * extent(one, 2) * extent(one, 0) > extent(other, 1) * extent(other, 2) * extent(other, 0);
}

export function windowOf(scene) {
  const first = images(scene)[0];
  return first.units === "HU" ? [...scene.presets.lung] : [...first.range];
}

// The window of the fourth preset: the range of the volume that is looked at, as for µCT.
export function presets(scene, view) {
  const own = scene.layers[view.panes[0]].range;
  return [...Object.entries(scene.presets), ["µCT", own]];
}

export function reference(scene, view) {
  return scene.layers[view.panes[0]];
}

export function onSlice(scene, view) {
  const layer = reference(scene, view);
  const axis = view.plane;
  const index = sliceOf(layer, axis, view.centre);
  if (index !== null) view.centre[axis] = middleOfSlice(layer, axis, index);
}

export function step(scene, view, count) {
  const layer = reference(scene, view);
  const axis = view.plane;
  const now = Math.floor((view.centre[axis] - layer.edge[axis]) / layer.spacing[axis]);
  const next = Math.max(0, Math.min(layer.shape[axis] - 1, now + count));
  view.centre[axis] = middleOfSlice(layer, axis, next);
}

export function fit(scene, view, pane) {
  const shown = view.panes.map((number) => scene.layers[number]);
  const layer = shown.reduce((one, other) => (covers(one, other) ? other : one), shown[0]);
  const [down, across] = IN_PLANE[view.plane];
  const place = middle(layer);
  view.centre[down] = place[down];
  view.centre[across] = place[across];
  view.zoom = Math.max(extent(layer, down) / pane.height, extent(layer, across) / pane.width);
}

export function written(view) {
  const round = (value) => Number(value.toPrecision(9));
  const parts = {
    plane: view.plane,
    at: view.centre.map(round).join(","),
    zoom: round(view.zoom),
    window: view.window.map(round).join(","),
    mode: view.mode,
    panes: view.panes.join(","),
    smooth: Number(view.smooth),
    map: view.map,
    opacity: round(view.opacity),
    span: round(view.span),
    divider: round(view.divider),
    difference: Number(view.difference),
    turn: view.turn,
    wheel: view.wheel,
  };
  return Object.entries(parts)
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

// What an address says of a view; whatever makes no sense in this scene is left as it is.
export function readInto(scene, view, text) {
  const said = new URLSearchParams(text);
  const numbers = (name, count) => {
    const found = (said.get(name) ?? "").split(",").map(Number);
    return said.has(name) && found.length === count && found.every(Number.isFinite) ? found : null;
  };
  const number = (name, low, high) => {
    const found = numbers(name, 1);
    return found && found[0] >= low && found[0] <= high ? found[0] : null;
  };
  const plane = number("plane", 0, 2);
  if (plane !== null && offered(scene, plane)) view.plane = plane;
  view.centre = numbers("at", 3) ?? view.centre;
  view.zoom = number("zoom", 1e-6, 1e3) ?? view.zoom;
  const window = numbers("window", 2);
  if (window && window[0] < window[1]) view.window = window;
  if (MODES.includes(said.get("mode"))) view.mode = said.get("mode");
  const known = images(scene).map((layer) => layer.number);
  const panes = (said.get("panes") ?? "").split(",").map(Number).filter((one) => known.includes(one));
  if (said.has("panes") && panes.length) view.panes = panes;
  const map = number("map", -1, scene.layers.length - 1);
  if (map !== null && (map === -1 || scene.layers[map].role !== "image")) view.map = map;
  view.smooth = (number("smooth", 0, 1) ?? Number(view.smooth)) === 1;
  view.difference = (number("difference", 0, 1) ?? Number(view.difference)) === 1;
  view.opacity = number("opacity", 0, 1) ?? view.opacity;
  view.span = number("span", 1e-6, 1e6) ?? view.span;
  view.divider = number("divider", 0, 1) ?? view.divider;
  view.turn = number("turn", 0, 99) ?? view.turn;
  if (["zoom", "slices"].includes(said.get("wheel"))) view.wheel = said.get("wheel");
}
