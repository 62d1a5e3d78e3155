// Where things are: positions are [z, y, x] in mm along the axes of the frame, as the server gives them.

export const IN_PLANE = { 0: [1, 2], 1: [0, 2], 2: [0, 1] };
export const PLANE_NAMES = ["axial", "coronal", "sagittal"];
const LETTERS = [["R", "L"], ["A", "P"], ["I", "S"]];

// The head is up, the patient's back is down and the left side is on the right.
export function downward(axis) {
  return IN_PLANE[axis][0] === 0 ? -1 : 1;
}

export function toScreen(view, pane, position) {
  const [down, across] = IN_PLANE[view.plane];
  return [
    pane.x + pane.width / 2 + (position[across] - view.centre[across]) / view.zoom,
    pane.y + pane.height / 2 + (downward(view.plane) * (position[down] - view.centre[down])) / view.zoom,
  ];
}

export function toPosition(view, pane, x, y) {
  const [down, across] = IN_PLANE[view.plane];
  const position = [...view.centre];
  position[across] += (x - pane.x - pane.width / 2) * view.zoom;
  position[down] += downward(view.plane) * (y - pane.y - pane.height / 2) * view.zoom;
  return position;
}

export function sliceOf(layer, axis, position) {
  const index = Math.floor((position[axis] - layer.edge[axis]) / layer.spacing[axis]);
  return index >= 0 && index < layer.shape[axis] ? index : null;
}

export function middleOfSlice(layer, axis, index) {
  return layer.edge[axis] + (index + 0.5) * layer.spacing[axis];
}

export function extent(layer, axis) {
  return layer.shape[axis] * layer.spacing[axis];
}

export function middle(layer) {
  return [0, 1, 2].map((axis) => layer.edge[axis] + extent(layer, axis) / 2);
}

// Letters of the patient's side that an axis of the frame (0: z) points to; oblique ones get two.
export function letters(axes, axis, sense) {
  const column = 2 - axis;
  return [0, 1, 2]
    .map((row) => [sense * axes[row][column], row])
    .filter(([length]) => Math.abs(length) > 0.3)
    .sort((one, other) => Math.abs(other[0]) - Math.abs(one[0]))
    .map(([length, row]) => LETTERS[row][length > 0 ? 1 : 0])
    .join("");
}

// LPS position (x, y, z) of a position in the frame.
export function patientPosition(axes, position) {
  return [0, 1, 2].map((row) => [0, 1, 2].reduce((sum, column) => sum + axes[row][column] * position[2 - column], 0));
}

// The coarsest level whose pixels are no larger than what the screen shows, or than the finest there is.
export function levelFor(levels, pixel) {
  let chosen = 0;
  levels.forEach((level, number) => {
    const fits = [0, 1].every((side) => level.pixel[side] <= Math.max(levels[0].pixel[side], pixel) * 1.0001);
    if (fits) chosen = number;
  });
  return chosen;
}

export function roundLength(longest) {
  const decade = 10 ** Math.floor(Math.log10(longest));
  return [5, 2, 1].map((step) => step * decade).find((length) => length <= longest) ?? decade;
}

export function panesOf(count, width, height) {
  const columns = width >= height ? Math.min(count, count > 3 ? Math.ceil(count / 2) : count) : count > 3 ? 2 : 1;
  const rows = Math.ceil(count / columns);
  const found = [];
  for (let number = 0; number < count; number += 1) {
    const column = number % columns;
    const row = Math.floor(number / columns);
    const left = Math.round((column * width) / columns);
    const top = Math.round((row * height) / rows);
    found.push({
      x: left + (column ? 1 : 0),
      y: top + (row ? 1 : 0),
      width: Math.round(((column + 1) * width) / columns) - left - (column ? 1 : 0),
      height: Math.round(((row + 1) * height) / rows) - top - (row ? 1 : 0),
    });
  }
  return found;
}
