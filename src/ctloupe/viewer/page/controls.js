// The bars above and below the images, and the dialogs.

import { PLANE_NAMES, sliceOf } from "./geometry.js";
import { firstNumber, sliceNumber } from "./notes.js";
import { save } from "./save.js";
import { fit, images, maps, offered, presets, reference, step, written } from "./view.js";

const element = (id) => document.getElementById(id);

export class Controls {
  constructor(app) {
    this.app = app;
    element("notice").textContent = app.scene.notice;
    this.fillChoices();
    this.listen();
  }

  fillChoices() {
    const { scene, view } = this.app;
    PLANE_NAMES.forEach((name, axis) => option(element("plane"), axis, name, !offered(scene, axis)));
    presets(scene, view).forEach(([name], number) => option(element("preset"), number, `${number + 1} ${name}`));
    option(element("map"), -1, "none");
    maps(scene).forEach((layer) => option(element("map"), layer.number, layer.name));
    element("map-part").hidden = !maps(scene).length;
    for (const layer of images(scene)) {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = layer.number;
      box.addEventListener("change", () => this.choosePanes());
      label.append(box, ` ${layer.name}`);
      const numbers = Object.entries(layer.numbers ?? {});
      if (numbers.length) {
        const small = document.createElement("small");
        small.textContent = numbers.map(([metric, value]) => `${metric} ${Number(value.toPrecision(4))}`).join(" · ");
        label.append(small);
      }
      element("panes").append(label);
    }
    element("panes-part").hidden = images(scene).length < 2;
  }

  listen() {
    const { app } = this;
    const { view, scene } = app;
    const on = (id, event, action) => element(id).addEventListener(event, () => { action(element(id)); app.changed(); });
    on("plane", "change", (one) => app.input.toPlane(Number(one.value)));
    on("slice", "input", (one) => step(scene, view, this.indexOfSlider(Number(one.value)) - this.index()));
    element("slice").addEventListener("wheel", (event) => {
      event.preventDefault();
      step(scene, view, event.deltaY > 0 ? 1 : -1);
      app.changed();
    }, { passive: false });
    on("preset", "change", (one) => { if (one.value !== "") view.window = [...presets(scene, view)[Number(one.value)][1]]; });
    for (const id of ["low", "high"]) on(id, "change", () => this.chooseWindow());
    on("mode", "change", (one) => { view.mode = one.value; });
    on("smooth", "change", (one) => { view.smooth = one.checked; });
    on("wheel", "change", (one) => { view.wheel = one.value; });
    on("difference", "change", (one) => { view.difference = one.checked; });
    on("map", "change", (one) => this.chooseMap(Number(one.value)));
    on("opacity", "input", (one) => { view.opacity = Number(one.value); });
    on("span", "change", (one) => { if (Number(one.value) > 0) view.span = Number(one.value); });
    on("fit", "click", () => fit(scene, view, app.panes[0]));
    on("turn", "click", () => { view.turn = (view.turn + 1) % view.panes.length; });
    on("ruler", "click", () => { app.pointer = null; app.pressRuler(); });
    element("save").addEventListener("click", () => save(app));
    element("link").addEventListener("click", () => this.copyLink());
    element("keys").addEventListener("click", () => this.help());
  }

  index() {
    const layer = reference(this.app.scene, this.app.view);
    return sliceOf(layer, this.app.view.plane, this.app.view.centre) ?? 0;
  }

  // The slider counts as the file does.
  indexOfSlider(number) {
    const layer = reference(this.app.scene, this.app.view);
    const { plane } = this.app.view;
    const first = firstNumber(layer, plane);
    return sliceNumber(layer, plane, number - first) - first;
  }

  chooseWindow() {
    const { view } = this.app;
    const [low, high] = [Number(element("low").value), Number(element("high").value)];
    if (element("low").value !== "" && element("high").value !== "" && low < high) view.window = [low, high];
  }

  chooseMap(number) {
    const { view, scene } = this.app;
    view.map = number;
    if (number < 0) return;
    const { role, range } = scene.layers[number];
    if (role === "uncertainty") view.span = Number(Math.max(1e-6, range[1]).toPrecision(2));
    if (role === "agreement") view.span = 100;
  }

  choosePanes() {
    const { view } = this.app;
    const chosen = [...element("panes").querySelectorAll("input:checked")].map((box) => Number(box.value));
    if (chosen.length) view.panes = chosen;
    view.turn = 0;
    this.app.changed();
  }

  show() {
    const { view, scene } = this.app;
    const layer = reference(scene, view);
    const set = (id, value) => { if (document.activeElement !== element(id)) element(id).value = value; };
    element("plane").value = view.plane;
    const first = firstNumber(layer, view.plane);
    element("slice").min = first;
    element("slice").max = first + layer.shape[view.plane] - 1;
    element("slice").value = sliceNumber(layer, view.plane, this.index());
    element("slice-number").textContent = `${element("slice").value} of ${first} … ${element("slice").max}`;
    element("slice").setAttribute("aria-valuetext", `slice ${element("slice").value}`);
    set("low", Number(view.window[0].toPrecision(5)));
    set("high", Number(view.window[1].toPrecision(5)));
    const same = ([, window]) => window.every((value, side) => Math.abs(value - view.window[side]) < 1e-6);
    element("preset").value = String(presets(scene, view).findIndex(same)).replace("-1", "");
    element("mode").value = view.mode;
    element("smooth").checked = view.smooth;
    element("wheel").value = view.wheel;
    element("difference").checked = view.difference;
    element("difference").disabled = view.panes.length < 2;
    element("turn").hidden = view.mode !== "blink";
    element("map").value = view.map;
    set("opacity", view.opacity);
    set("span", Number(view.span.toPrecision(3)));
    const maps = view.map >= 0;
    element("opacity-part").hidden = !maps;
    const ranged = view.difference || (maps && ["agreement", "uncertainty"].includes(scene.layers[view.map].role));
    element("span-part").hidden = !ranged;
    element("legend").textContent = [
      maps ? this.app.legend() : "",
      view.difference ? `difference: blue −${Number(view.span.toPrecision(3))}, white 0, red +${Number(view.span.toPrecision(3))}` : "",
    ].filter(Boolean).join(" · ");
    for (const box of element("panes").querySelectorAll("input")) box.checked = view.panes.includes(Number(box.value));
    this.zoomInWords(layer);
  }

  zoomInWords(layer) {
    const { view } = this.app;
    const pixels = Math.min(...layer.spacing.slice(1)) / view.zoom;
    element("zoom").textContent = `${Number(pixels.toPrecision(3))} pixels a voxel`;
  }

  values(place, read, values) {
    element("place").textContent = place;
    element("values").textContent = read.filter((one) => !one.endsWith("–")).join(" · ") || "no value here";
    element("values").dataset.values = JSON.stringify(values);
  }

  growth(now) {
    const words = (now ?? []).filter((one) => !one.whole).map((one) => `${one.name}: ${one.count} of ${one.of} slices finished`);
    element("growth").textContent = words.join(" · ");
  }

  said(failure) {
    element("told").textContent = failure;
    element("told").hidden = !failure;
  }

  async copyLink() {
    const address = `${location.href.split("#")[0]}#${written(this.app.view)}`;
    try {
      await navigator.clipboard.writeText(address);
      element("growth").textContent = "the link is copied; it opens this view where the server runs";
    } catch {
      window.prompt("Copy this link:", address);
    }
  }

  help() {
    const dialog = element("help");
    if (dialog.open) dialog.close();
    else dialog.showModal();
  }
}

function option(select, value, text, disabled = false) {
  const made = new Option(text, value);
  made.disabled = disabled;
  select.append(made);
}

