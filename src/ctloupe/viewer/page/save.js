// The picture as a file: what is on the screen, with window, scale and notice burned in.

import { drawNotes } from "./notes.js";

const HEIGHT = 46;

export function pictureOf(app) {
  const { scene, view, renderer, ratio, stage } = app;
  app.drawNow();
  const image = document.createElement("canvas");
  image.width = renderer.canvas.width;
  image.height = renderer.canvas.height + Math.round(HEIGHT * ratio);
  const context = image.getContext("2d");
  context.fillStyle = "#101318";
  context.fillRect(0, 0, image.width, image.height);
  context.drawImage(renderer.canvas, 0, 0);
  context.scale(ratio, ratio);
  drawNotes(context, scene, view, app.panes, { ruler: app.ruler });
  context.textAlign = "left";
  context.fillStyle = "#ffffff";
  context.font = "13px system-ui, sans-serif";
  const [low, high] = view.window.map((value) => Number(value.toPrecision(5)));
  const units = scene.layers[view.panes[0]].units === "HU" ? " HU" : "";
  const map = view.map >= 0 ? `; over it: ${app.legend()}` : "";
  context.fillText(`black ${low}, white ${high}${units}${map}`, 8, stage.clientHeight + 14);
  context.fillText(scene.notice, 8, stage.clientHeight + 34);
  return image;
}

export async function save(app) {
  const image = pictureOf(app);
  const blob = await new Promise((done) => image.toBlob(done, "image/png"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = "ctloupe-view.png";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
