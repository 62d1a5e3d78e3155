// What is written over the images: names, sides of the patient, scale bar, ruler, divider, window and notice.

import { IN_PLANE, PLANE_NAMES, downward, letters, patientPosition, roundLength, sliceOf, toScreen } from "./geometry.js";

const INK = "#ffffff";
const SHADE = "rgba(10, 12, 16, 0.72)";
const FONT = "13px system-ui, sans-serif";

export function drawNotes(context, scene, view, panes, extra) {
  context.font = FONT;
  context.textBaseline = "middle";
  panes.forEach((pane, number) => {
    const clip = pane.clip ?? pane;
    const atRight = pane.clip && clip.x > pane.x;
    label(context, nameOf(scene, view, pane), atRight ? clip.x + clip.width - 8 : clip.x + 8, pane.y + 14, atRight ? "right" : "left");
    const first = Object.entries(scene.layers[pane.layer].numbers ?? {})[0];
    if (first && !pane.clip) label(context, `${first[0]} ${Number(first[1].toPrecision(4))}`, clip.x + 8, pane.y + 36);
    if (number && pane.clip) return;
    sides(context, scene, view, pane);
    scaleBar(context, view, pane, Math.min(...panes.map((one) => one.width)));
  });
  if (extra.ruler) ruler(context, view, panes, extra.ruler);
  if (extra.mark) panes.forEach((pane) => cross(context, view, pane, extra.mark));
  if (panes.some((pane) => pane.clip)) divider(context, panes[0], panes[0].clip.x + panes[0].clip.width);
}

export function nameOf(scene, view, pane) {
  const layer = scene.layers[pane.layer];
  const index = sliceOf(layer, view.plane, view.centre);
  const slice = index === null ? "not here" : `${PLANE_NAMES[view.plane]} slice ${sliceNumber(layer, view.plane, index)}`;
  const against = (pane.against ?? -1) >= 0 ? ` minus ${scene.layers[pane.against].name}` : "";
  const how = layer.ownAxes ? "" : " (interpolated)";
  return `${layer.name}${how}${against} · ${slice}`;
}

// Slices are counted as the file counts them, from 0.
export function sliceNumber(layer, axis, index) {
  return firstNumber(layer, axis) + (layer.backwards[axis] ? layer.shape[axis] - 1 - index : index);
}

// A part of a volume goes on counting as the whole does.
export function firstNumber(layer, axis) {
  return (layer.offset ?? [0, 0, 0])[axis];
}

function label(context, text, x, y, align = "left", fill = INK) {
  context.textAlign = align;
  const width = context.measureText(text).width + 10;
  const left = align === "right" ? x - width + 5 : align === "center" ? x - width / 2 : x - 5;
  context.fillStyle = SHADE;
  context.fillRect(left, y - 10, width, 20);
  context.fillStyle = fill;
  context.fillText(text, x, y);
}

function sides(context, scene, view, pane) {
  const [down, across] = IN_PLANE[view.plane];
  const sense = downward(view.plane);
  // Beside the middle, where the divider is.
  const middleX = pane.x + pane.width / 2 + (pane.clip ? 26 : 0);
  const middleY = pane.y + pane.height / 2;
  label(context, letters(scene.axes, across, -1), pane.x + 8, middleY);
  label(context, letters(scene.axes, across, 1), pane.x + pane.width - 8, middleY, "right");
  label(context, letters(scene.axes, down, -sense), middleX, pane.y + 14, "center");
  label(context, letters(scene.axes, down, sense), middleX, pane.y + pane.height - 14, "center");
}

function scaleBar(context, view, pane, width) {
  const length = roundLength((width / 4) * view.zoom);
  const pixels = length / view.zoom;
  const y = pane.y + pane.height - 14;
  const text = length < 1 ? `${Number((1000 * length).toPrecision(3))} µm` : `${length} mm`;
  const x = pane.x + 10;
  context.fillStyle = SHADE;
  context.fillRect(x - 5, y - 10, pixels + context.measureText(text).width + 18, 20);
  context.fillStyle = INK;
  context.fillRect(x, y - 2, pixels, 4);
  context.textAlign = "left";
  context.fillText(text, x + pixels + 6, y);
}

export function rulerLength([first, second]) {
  return Math.hypot(...first.map((value, axis) => value - second[axis]));
}

function ruler(context, view, panes, ends) {
  for (const pane of panes) {
    const [[x1, y1], [x2, y2]] = ends.map((end) => toScreen(view, pane, end));
    context.save();
    clipTo(context, pane);
    for (const [width, colour] of [[4, "#000000"], [2, "#ffd400"]]) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.beginPath();
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
      context.stroke();
    }
    label(context, `${rulerLength(ends).toPrecision(4)} mm`, (x1 + x2) / 2 + 10, (y1 + y2) / 2 - 14, "left", "#ffd400");
    context.restore();
  }
}

function cross(context, view, pane, position) {
  const [x, y] = toScreen(view, pane, position);
  context.save();
  clipTo(context, pane);
  for (const [width, colour] of [[3, "#000000"], [1, "#ffd400"]]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(x - 9, y);
    context.lineTo(x + 9, y);
    context.moveTo(x, y - 9);
    context.lineTo(x, y + 9);
    context.stroke();
  }
  context.restore();
}

function divider(context, pane, x) {
  context.fillStyle = "#000000";
  context.fillRect(x - 2, pane.y, 4, pane.height);
  context.fillStyle = "#ffd400";
  context.fillRect(x - 1, pane.y, 2, pane.height);
  context.beginPath();
  context.arc(x, pane.y + pane.height / 2, 9, 0, 2 * Math.PI);
  context.fill();
}

function clipTo(context, pane) {
  const clip = pane.clip ?? pane;
  context.beginPath();
  context.rect(clip.x, pane.y, clip.width, pane.height);
  context.clip();
}

export function told(value, units) {
  if (value === null || value === undefined) return "–";
  const text = Number.isInteger(value) ? String(value) : value.toPrecision(4);
  return units === "HU" ? `${text} HU` : text;
}

export function placeInWords(scene, position) {
  const [x, y, z] = patientPosition(scene.axes, position).map((value) => value.toFixed(2));
  return `L ${x}, P ${y}, S ${z} mm`;
}
