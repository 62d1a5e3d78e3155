// What hands do on the images: pointer, wheel, pinch and keys.

import { IN_PLANE, downward, toPosition } from "./geometry.js";
import { MODES, fit, maps, offered, onSlice, presets, step } from "./view.js";
import { save } from "./save.js";

const NEAR_DIVIDER = 14;
const PAN = 60;

export class Stage {
  constructor(app) {
    this.app = app;
    this.pointers = new Map();
    this.byKeyboard = false;
    this.turned = 0;
    const { stage } = app;
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    stage.addEventListener("pointerup", (event) => this.up(event));
    stage.addEventListener("pointercancel", (event) => this.up(event));
    stage.addEventListener("pointerleave", () => this.leave());
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("focus", () => this.focused(stage.matches(":focus-visible")));
    stage.addEventListener("blur", () => this.focused(false));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  focused(byKeyboard) {
    this.byKeyboard = byKeyboard;
    this.app.redraw();
  }

  place(event) {
    const box = this.app.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  paneAt([x, y]) {
    const inside = (pane) => {
      const clip = pane.clip ?? pane;
      return x >= clip.x && x < clip.x + clip.width && y >= pane.y && y < pane.y + pane.height;
    };
    return this.app.panes.find(inside) ?? this.app.panes[0];
  }

  down(event) {
    const { app } = this;
    app.stage.setPointerCapture(event.pointerId);
    const at = this.place(event);
    this.pointers.set(event.pointerId, at);
    this.byKeyboard = false;
    const { view } = app;
    const cut = view.mode === "swipe" && !view.difference ? view.divider * app.stage.clientWidth : null;
    if (cut !== null && Math.abs(at[0] - cut) < NEAR_DIVIDER) this.doing = "divider";
    else if (event.button === 2 || event.shiftKey) this.doing = "window";
    else this.doing = "pan";
    this.begun = { at, window: [...view.window] };
  }

  move(event) {
    const { app } = this;
    const at = this.place(event);
    const before = this.pointers.get(event.pointerId);
    app.pointer = toPosition(app.view, this.paneAt(at), ...at);
    if (!before) {
      app.ask();
      if (app.ruler?.length === 1) app.redraw();
      return;
    }
    if (this.pointers.size === 2) this.pinch(event.pointerId, at);
    else if (this.doing === "divider") app.view.divider = Math.min(0.98, Math.max(0.02, at[0] / app.stage.clientWidth));
    else if (this.doing === "window") this.drawWindow(at);
    else this.pan(before[0] - at[0], before[1] - at[1]);
    this.pointers.set(event.pointerId, at);
    app.changed();
  }

  up(event) {
    this.pointers.delete(event.pointerId);
  }

  leave() {
    if (!this.pointers.size) {
      this.app.pointer = null;
      this.app.ask();
    }
  }

  // To the right is wider, upwards is brighter.
  drawWindow([x, y]) {
    const [low, high] = this.begun.window;
    const width = high - low;
    const wider = Math.max(width / 1000, width * (1 + (x - this.begun.at[0]) / 300));
    const middle = (low + high) / 2 + ((y - this.begun.at[1]) / 300) * width;
    this.app.view.window = [middle - wider / 2, middle + wider / 2];
  }

  pinch(moved, at) {
    const other = [...this.pointers].find(([id]) => id !== moved)[1];
    const before = this.pointers.get(moved);
    const factor = Math.hypot(before[0] - other[0], before[1] - other[1]) / Math.max(1, Math.hypot(at[0] - other[0], at[1] - other[1]));
    this.zoom(factor, [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2]);
  }

  pan(x, y) {
    const { view } = this.app;
    const [down, across] = IN_PLANE[view.plane];
    view.centre[across] += x * view.zoom;
    view.centre[down] += downward(view.plane) * y * view.zoom;
  }

  // What lies under the point stays there.
  zoom(factor, at) {
    const { app } = this;
    const { view } = app;
    const pane = this.paneAt(at);
    const before = toPosition(view, pane, ...at);
    const finest = Math.min(...app.scene.layers.map((layer) => Math.min(...layer.spacing)));
    view.zoom = Math.min(20, Math.max(finest / 200, view.zoom * factor));
    const after = toPosition(view, pane, ...at);
    IN_PLANE[view.plane].forEach((axis) => {
      view.centre[axis] += before[axis] - after[axis];
    });
  }

  wheel(event) {
    event.preventDefault();
    const { app } = this;
    const amount = (event.deltaY || event.deltaX) * (event.deltaMode === 1 ? 33 : 1);
    const zooming = event.ctrlKey || (app.view.wheel === "zoom") !== event.shiftKey;
    if (zooming) {
      this.zoom(Math.exp(amount * (event.ctrlKey ? 0.01 : 0.002)), this.place(event));
    } else {
      this.turned += amount / 100;
      const whole = Math.trunc(this.turned);
      this.turned -= whole;
      if (whole) step(app.scene, app.view, whole);
    }
    app.changed();
  }

  key(event) {
    const { app } = this;
    const inField = event.target.closest?.("input:not([type=checkbox]), select, textarea, dialog");
    if (inField || event.ctrlKey || event.metaKey || event.altKey) return;
    const onControl = event.target.closest?.("button, summary, a");
    if (onControl && (event.key === " " || event.key === "Enter")) return;
    if (this.act(event.key, event.shiftKey)) {
      event.preventDefault();
      app.changed();
    }
  }

  act(key, shifted) {
    const { app } = this;
    const { scene, view } = app;
    const middle = [app.panes[0].x + app.panes[0].width / 2, app.panes[0].y + app.panes[0].height / 2];
    const width = view.window[1] - view.window[0];
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (key in arrows && !shifted) return this.did(() => this.pan(...arrows[key].map((one) => one * PAN)));
    if (key in arrows && view.mode === "swipe" && arrows[key][0]) {
      return this.did(() => { view.divider = Math.min(0.98, Math.max(0.02, view.divider + 0.05 * arrows[key][0])); });
    }
    const planes = { a: 0, c: 1, s: 2 };
    const lower = key.length === 1 ? key.toLowerCase() : key;
    if (lower in planes && offered(scene, planes[lower])) return this.did(() => this.toPlane(planes[lower]));
    if (/^[1-4]$/.test(key)) return this.did(() => { view.window = [...presets(scene, view)[key - 1][1]]; });
    const actions = {
      PageUp: () => step(scene, view, 1),
      PageDown: () => step(scene, view, -1),
      Home: () => step(scene, view, -1e6),
      End: () => step(scene, view, 1e6),
      "+": () => this.zoom(1 / 1.25, middle),
      "=": () => this.zoom(1 / 1.25, middle),
      "-": () => this.zoom(1.25, middle),
      0: () => fit(scene, view, app.panes[0]),
      v: () => { view.mode = MODES[(MODES.indexOf(view.mode) + 1) % MODES.length]; },
      " ": () => { view.turn = (view.turn + 1) % view.panes.length; },
      b: () => { view.smooth = !view.smooth; },
      d: () => { view.difference = view.panes.length > 1 && !view.difference; },
      m: () => this.nextMap(),
      "[": () => { view.opacity = Math.max(0, view.opacity - 0.1); },
      "]": () => { view.opacity = Math.min(1, view.opacity + 0.1); },
      "<": () => { view.window = view.window.map((value) => value - width / 20); },
      ">": () => { view.window = view.window.map((value) => value + width / 20); },
      "{": () => { view.window = [view.window[0] + width / 20, view.window[1] - width / 20]; },
      "}": () => { view.window = [view.window[0] - width / 20, view.window[1] + width / 20]; },
      r: () => app.pressRuler(),
      p: () => save(app),
      l: () => app.controls.copyLink(),
      "?": () => app.controls.help(),
    };
    return lower in actions ? this.did(actions[lower]) : false;
  }

  did(action) {
    action();
    return true;
  }

  toPlane(plane) {
    const { app } = this;
    app.view.plane = plane;
    onSlice(app.scene, app.view);
    app.layOut();
    fit(app.scene, app.view, app.panes[0]);
  }

  nextMap() {
    const { view, scene } = this.app;
    const numbers = [-1, ...maps(scene).map((layer) => layer.number)];
    this.app.controls.chooseMap(numbers[(numbers.indexOf(view.map) + 1) % numbers.length]);
  }
}
