// Draws the panes: the values of volumes into buffers of the size of a pane, then windows, maps and differences.

import { EMPTY, PANE_VERTEX, TILE_FRAGMENT, TILE_VERTEX, paneFragment } from "./shaders.js";
import { IN_PLANE, downward, levelFor, sliceOf } from "./geometry.js";

export class Renderer {
  constructor(canvas) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: false, preserveDrawingBuffer: false });
    if (!gl) throw new Error("this browser has no WebGL 2, which draws the volumes");
    if (!gl.getExtension("EXT_color_buffer_float")) throw new Error("this browser cannot draw into buffers of numbers");
    this.gl = gl;
    this.tileProgram = program(gl, TILE_VERTEX, TILE_FRAGMENT);
    this.panePrograms = new Map();
    const corners = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, corners);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    this.buffers = [];
  }

  texture(values, width, height) {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
    const numbers = values instanceof Float32Array ? values : Float32Array.from(values);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, width, height, 0, gl.RED, gl.FLOAT, numbers);
    sharp(gl);
    return { texture, width, height, bytes: 4 * width * height };
  }

  paneProgram(kind, difference) {
    const key = `${kind} ${difference}`;
    if (!this.panePrograms.has(key)) {
      this.panePrograms.set(key, program(this.gl, PANE_VERTEX, paneFragment(kind, difference)));
    }
    return this.panePrograms.get(key);
  }

  release(tile) {
    this.gl.deleteTexture(tile.texture);
  }

  buffer(number, width, height) {
    const { gl } = this;
    const held = this.buffers[number];
    if (held && held.width === width && held.height === height) return held;
    if (held) {
      gl.deleteTexture(held.texture);
      gl.deleteFramebuffer(held.frame);
    }
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, width, height, 0, gl.RED, gl.FLOAT, null);
    sharp(gl);
    const frame = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    this.buffers[number] = { texture, frame, width, height };
    return this.buffers[number];
  }

  // Draw all panes; returns the tiles that are needed, those in the middle of a pane first.
  draw(scene, view, panes, store, ratio) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(0.2, 0.22, 0.25, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const needed = [];
    for (const pane of panes) {
      const size = [Math.max(1, Math.round(pane.width * ratio)), Math.max(1, Math.round(pane.height * ratio))];
      const image = this.values(0, scene, view, pane, pane.layer, size, store, ratio, needed);
      const against = pane.against ?? -1;
      const other = against >= 0 ? this.values(1, scene, view, pane, against, size, store, ratio, needed) : image;
      const map = pane.map >= 0 ? this.values(2, scene, view, pane, pane.map, size, store, ratio, needed) : image;
      this.compose(scene, view, pane, image, other, map, ratio);
    }
    needed.sort((one, another) => one.far - another.far);
    return needed.map((one) => one.place);
  }

  // The values of a layer for every pixel of a pane: what is here of coarser levels, and the wanted level over it.
  values(number, scene, view, pane, layerNumber, [width, height], store, ratio, needed) {
    const { gl } = this;
    const target = this.buffer(number, width, height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.frame);
    gl.viewport(0, 0, width, height);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearBufferfv(gl.COLOR, 0, [EMPTY, 0, 0, 1]);
    const layer = scene.layers[layerNumber];
    const axis = view.plane;
    const index = sliceOf(layer, axis, view.centre);
    const levels = layer.planes[axis];
    if (index === null || !levels.length) return target;
    const pixel = view.zoom / ratio;
    const wanted = levelFor(levels, pixel);
    gl.useProgram(this.tileProgram.id);
    gl.uniform1i(this.tileProgram.at.tile, 0);
    gl.uniform1f(this.tileProgram.at.nothing, layer.wire === "int16" ? scene.nothing : EMPTY);
    const here = (level) => visible(scene, view, pane, levels[level]).every((tile) => store.get(layerNumber, axis, level, index, tile.row, tile.column));
    // Coarser tiles are seen only where wanted ones are missing.
    const coarsest = here(wanted) ? wanted : levels.length - 1;
    for (let level = coarsest; level >= wanted; level -= 1) {
      const smoothly = smoothing(layer, levels[level], view, pixel);
      gl.uniform1i(this.tileProgram.at.smoothly, smoothly);
      for (const tile of visible(scene, view, pane, levels[level])) {
        const place = [layerNumber, axis, level, index, tile.row, tile.column];
        const held = store.get(...place);
        if (held) this.drawTile(scene, view, pane, levels[level], tile, held);
        else if (level === wanted) needed.push({ place, far: tile.far });
        else if (level === levels.length - 1) needed.push({ place, far: -1 });
      }
    }
    return target;
  }

  drawTile(scene, view, pane, level, tile, held) {
    const { gl } = this;
    const [down, across] = IN_PLANE[view.plane];
    const sense = downward(view.plane);
    const left = level.edge[1] + tile.column * scene.tile * level.pixel[1];
    const top = level.edge[0] + tile.row * scene.tile * level.pixel[0];
    const right = left + (held.width - 2 * scene.border) * level.pixel[1];
    const bottom = top + (held.height - 2 * scene.border) * level.pixel[0];
    const x = (mm) => (2 * (mm - view.centre[across])) / view.zoom / pane.width;
    const y = (mm) => (-2 * sense * (mm - view.centre[down])) / view.zoom / pane.height;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, held.texture);
    gl.uniform4f(this.tileProgram.at.place, x(left), y(top), x(right), y(bottom));
    gl.uniform4f(this.tileProgram.at.part, scene.border, scene.border, held.width - scene.border, held.height - scene.border);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  compose(scene, view, pane, image, other, map, ratio) {
    const { gl } = this;
    const clip = pane.clip ?? pane;
    const bottom = this.canvas.height - Math.round(pane.y * ratio) - image.height;
    const left = Math.round(pane.x * ratio);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(left, bottom, image.width, image.height);
    gl.enable(gl.SCISSOR_TEST);
    const from = Math.round(clip.x * ratio);
    const to = Math.round((clip.x + clip.width) * ratio);
    gl.scissor(from, bottom, Math.max(0, Math.min(to, left + image.width) - from), image.height);
    const kind = pane.map >= 0 ? scene.layers[pane.map].role : "none";
    const { id, at } = this.paneProgram(kind, (pane.against ?? -1) >= 0);
    gl.useProgram(id);
    [image, other, map].forEach((one, number) => {
      gl.activeTexture(gl.TEXTURE0 + number);
      gl.bindTexture(gl.TEXTURE_2D, one.texture);
    });
    gl.uniform1i(at.image, 0);
    gl.uniform1i(at.other, 1);
    gl.uniform1i(at.map, 2);
    gl.uniform2f(at.origin, left, bottom);
    gl.uniform2f(at.window, ...(pane.window ?? view.window));
    gl.uniform1f(at.opacity, view.opacity);
    gl.uniform1f(at.span, view.span);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
}

// Masks and labels are never interpolated; images are where people want it, and where pixels are left out.
function smoothing(layer, level, view, pixel) {
  if (layer.role === "mask" || layer.role === "labels") return 0;
  if (Math.max(...level.pixel) < pixel * 0.9999) return 1;
  return view.smooth && layer.role === "image" ? 2 : 0;
}

export function visible(scene, view, pane, level) {
  const [down, across] = IN_PLANE[view.plane];
  const half = [(pane.height / 2) * view.zoom, (pane.width / 2) * view.zoom];
  const centre = [view.centre[down], view.centre[across]];
  const range = (side) => {
    const step = scene.tile * level.pixel[side];
    const count = Math.ceil(level.shape[side] / scene.tile);
    const first = Math.max(0, Math.floor((centre[side] - half[side] - level.edge[side]) / step));
    const end = Math.min(count, Math.ceil((centre[side] + half[side] - level.edge[side]) / step));
    return [first, end, step];
  };
  const [top, bottom, tall] = range(0);
  const [left, right, wide] = range(1);
  const found = [];
  for (let row = top; row < bottom; row += 1) {
    for (let column = left; column < right; column += 1) {
      const far = Math.hypot(
        level.edge[0] + (row + 0.5) * tall - centre[0],
        level.edge[1] + (column + 0.5) * wide - centre[1],
      );
      found.push({ row, column, far });
    }
  }
  return found;
}

function sharp(gl) {
  for (const [name, value] of [
    [gl.TEXTURE_MIN_FILTER, gl.NEAREST],
    [gl.TEXTURE_MAG_FILTER, gl.NEAREST],
    [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE],
    [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
  ]) {
    gl.texParameteri(gl.TEXTURE_2D, name, value);
  }
}

function program(gl, vertex, fragment) {
  const id = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(id, shader);
  }
  gl.bindAttribLocation(id, 0, "corner");
  gl.linkProgram(id);
  if (!gl.getProgramParameter(id, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(id));
  const at = {};
  const count = gl.getProgramParameter(id, gl.ACTIVE_UNIFORMS);
  for (let number = 0; number < count; number += 1) {
    const { name } = gl.getActiveUniform(id, number);
    at[name] = gl.getUniformLocation(id, name);
  }
  return { id, at };
}
