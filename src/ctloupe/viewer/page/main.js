// The page: one scene, one view, and what draws it again whenever one of them has changed.

import { Controls } from "./controls.js";
import { panesOf } from "./geometry.js";
import { drawNotes, placeInWords, told } from "./notes.js";
import { Renderer } from "./render.js";
import { sourceOf } from "./source.js";
import { Stage } from "./stage.js";
import { TileStore } from "./tiles.js";
import { firstView, fit, images, maps, onSlice, readInto, written } from "./view.js";

const WRITE_AFTER = 250;
const ASK_AFTER = 60;
const LOOK_AGAIN = 2000;

class App {
  constructor(scene, source) {
    this.scene = scene;
    this.source = source;
    this.stage = document.getElementById("stage");
    this.notes = document.getElementById("notes");
    this.view = firstView(scene);
    this.renderer = new Renderer(document.getElementById("image"));
    this.store = new TileStore(source, scene, this.renderer, () => this.redraw());
    this.ruler = null;
    this.pointer = null;
    this.fitted = false;
    this.controls = new Controls(this);
    this.input = new Stage(this);
    new ResizeObserver(() => this.resized()).observe(this.stage);
    window.addEventListener("hashchange", () => this.readAddress());
    if (location.hash.length > 1) this.readAddress();
    this.resized();
    this.watchGrowth();
  }

  get ratio() {
    return window.devicePixelRatio || 1;
  }

  readAddress() {
    const text = location.hash.slice(1);
    if (!text || text === this.address) return;
    readInto(this.scene, this.view, text);
    this.fitted = this.fitted || /(^|&)zoom=/.test(text);
    this.changed();
  }

  resized() {
    const { clientWidth, clientHeight } = this.stage;
    if (!clientWidth || !clientHeight) return;
    for (const canvas of [this.renderer.canvas, this.notes]) {
      canvas.width = Math.round(clientWidth * this.ratio);
      canvas.height = Math.round(clientHeight * this.ratio);
    }
    if (!this.fitted) {
      this.layOut();
      fit(this.scene, this.view, this.panes[0]);
      this.fitted = true;
    }
    this.changed();
  }

  layOut() {
    const { scene, view, stage } = this;
    const [width, height] = [stage.clientWidth, stage.clientHeight];
    const whole = { x: 0, y: 0, width, height };
    const second = view.panes[1] ?? view.panes[0];
    let panes;
    if (view.difference && view.mode !== "side") {
      panes = [{ ...whole, layer: view.panes[0], against: second }];
    } else if (view.mode === "swipe") {
      const cut = Math.round(width * view.divider);
      panes = [
        { ...whole, layer: view.panes[0], clip: { x: 0, width: cut } },
        { ...whole, layer: second, clip: { x: cut, width: width - cut } },
      ];
    } else if (view.mode === "blink") {
      panes = [{ ...whole, layer: view.panes[view.turn % view.panes.length] }];
    } else {
      const shown = view.panes.map((layer) => ({ layer }));
      if (view.difference) shown.push({ layer: view.panes[0], against: second });
      panes = panesOf(shown.length, width, height).map((place, number) => ({ ...place, ...shown[number] }));
    }
    const units = scene.layers[view.panes[0]].units;
    for (const pane of panes) {
      const layer = scene.layers[pane.layer];
      const owner = view.map >= 0 ? scene.layers[view.map].of : null;
      pane.map = view.map >= 0 && (owner === null || owner === pane.layer) ? view.map : -1;
      if (layer.units !== units) pane.window = layer.range;
    }
    this.panes = panes;
  }

  // Something that the address tells of has changed.
  changed() {
    this.layOut();
    this.controls.show();
    this.redraw();
    clearTimeout(this.writing);
    this.writing = setTimeout(() => {
      this.address = written(this.view);
      history.replaceState(null, "", `#${this.address}`);
    }, WRITE_AFTER);
    this.ask();
  }

  redraw() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.drawNow();
    });
  }

  drawNow() {
    const wanted = this.renderer.draw(this.scene, this.view, this.panes, this.store, this.ratio);
    this.store.want(wanted);
    const context = this.notes.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.stage.clientWidth, this.stage.clientHeight);
    const mark = this.input.byKeyboard ? this.view.centre : null;
    drawNotes(context, this.scene, this.view, this.panes, { ruler: this.rulerNow(), mark });
    this.stage.dataset.state = this.store.busy ? "loading" : "complete";
    this.controls.said(this.store.failure);
  }

  // Where values are read: under the pointer, or in the middle where there is none.
  get position() {
    return this.pointer ?? this.view.centre;
  }

  rulerNow() {
    if (!this.ruler) return null;
    return this.ruler.length === 2 ? this.ruler : [this.ruler[0], this.position];
  }

  pressRuler() {
    if (!this.ruler) this.ruler = [[...this.position]];
    else if (this.ruler.length === 1) this.ruler.push([...this.position]);
    else this.ruler = null;
    this.redraw();
    this.ask();
  }

  ask() {
    clearTimeout(this.asking);
    this.asking = setTimeout(async () => {
      const position = [...this.position];
      try {
        const values = await this.source.values(this.scene, position);
        const shown = images(this.scene).filter((layer) => this.view.panes.includes(layer.number));
        const over = maps(this.scene).filter((layer) => layer.of === null || this.view.panes.includes(layer.of));
        const read = shown
          .concat(over)
          .map((layer) => `${layer.name} ${told(values[layer.number], layer.units)}`);
        this.controls.values(placeInWords(this.scene, position), read, values);
      } catch (error) {
        this.controls.values(placeInWords(this.scene, position), [error.message], []);
      }
    }, ASK_AFTER);
  }

  legend() {
    const layer = this.scene.layers[this.view.map];
    const span = Number(this.view.span.toPrecision(3));
    const ranges = {
      agreement: `blue −${span}, clear 0, red +${span} HU`,
      uncertainty: `black 0 to yellow ${span}`,
      mask: "edge in yellow",
      labels: "a colour for each label",
    };
    return `${layer.name} (${ranges[layer.role]})`;
  }

  // Slices that are still being written are drawn once they are there.
  async watchGrowth() {
    if (!this.scene.layers.some((layer) => layer.growing)) return;
    const look = async () => {
      try {
        const now = await this.source.finished();
        this.scene.layers.forEach((layer, number) => {
          if (now && layer.growing && layer.version !== now[number].version) {
            layer.version = now[number].version;
            layer.finished = now[number].finished;
            this.redraw();
          }
        });
        this.controls.growth(now);
        if (now && now.every((one) => one.whole)) return;
      } catch (error) {
        this.controls.said(error.message);
      }
      setTimeout(look, LOOK_AGAIN);
    };
    look();
  }
}

async function begin() {
  const told = document.getElementById("told");
  try {
    const source = sourceOf(document);
    const scene = await source.scene();
    window.ctloupe = new App(scene, source);
    onSlice(scene, window.ctloupe.view);
    document.body.dataset.ready = "yes";
  } catch (error) {
    told.textContent = error.message;
    told.hidden = false;
    throw error;
  }
}

begin();
