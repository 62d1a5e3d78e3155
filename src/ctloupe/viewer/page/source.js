// Where scenes and tiles come from: the server, or what an exported page holds itself.

import { IN_PLANE, sliceOf } from "./geometry.js";

export function sourceOf(document) {
  const embedded = document.getElementById("embedded");
  return embedded ? new Embedded(JSON.parse(embedded.textContent)) : new Served();
}

class Served {
  async scene() {
    return (await this.get("api/scene")).json();
  }

  async tile(layer, number, axis, level, index, row, column, signal) {
    const version = layer.version ?? 0;
    const where = `api/tile/${number}/${axis}/${level}/${index}/${row}/${column}?version=${version}`;
    const buffer = await (await this.get(where, signal)).arrayBuffer();
    return layer.wire === "int16" ? new Int16Array(buffer) : new Float32Array(buffer);
  }

  async values(scene, position) {
    return (await this.get(`api/values?at=${position.join(",")}`)).json();
  }

  async finished() {
    return (await this.get("api/finished")).json();
  }

  async get(where, signal) {
    const answer = await fetch(where, { signal, credentials: "same-origin" });
    if (!answer.ok) throw new Error(`${answer.status}: ${(await answer.text()).slice(0, 300)}`);
    return answer;
  }
}

// Whole volumes of a region, compressed in the page; levels are the finest one and blocks of its pixels.
class Embedded {
  constructor(content) {
    this.content = content;
    this.volumes = [];
  }

  async scene() {
    this.volumes = await Promise.all(this.content.volumes.map((one, number) => unpacked(one, this.content.scene.layers[number])));
    return this.content.scene;
  }

  async tile(layer, number, axis, level, index, row, column) {
    const { tile, border, nothing } = this.content.scene;
    const [down, across] = IN_PLANE[axis];
    const at = layer.planes[axis][level];
    const tall = Math.round(at.pixel[0] / layer.spacing[down]);
    const wide = Math.round(at.pixel[1] / layer.spacing[across]);
    const height = Math.min(tile, at.shape[0] - row * tile) + 2 * border;
    const width = Math.min(tile, at.shape[1] - column * tile) + 2 * border;
    const made = layer.wire === "int16" ? new Int16Array(height * width) : new Float32Array(height * width);
    const place = [0, 0, 0];
    place[axis] = index;
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const top = clamp(row * tile + y - border, at.shape[0]) * tall;
        const left = clamp(column * tile + x - border, at.shape[1]) * wide;
        let sum = 0;
        let count = 0;
        for (let v = top; v < Math.min(top + tall, layer.shape[down]); v += 1) {
          for (let h = left; h < Math.min(left + wide, layer.shape[across]); h += 1) {
            place[down] = v;
            place[across] = h;
            sum += this.voxel(layer, number, place);
            count += 1;
          }
        }
        const mean = sum / count;
        made[y * width + x] = layer.wire === "int16" ? Math.max(nothing + 1, Math.round(mean)) : mean;
      }
    }
    return made;
  }

  async values(scene, position) {
    return scene.layers.map((layer, number) => {
      const place = [0, 1, 2].map((axis) => sliceOf(layer, axis, position));
      const value = place.includes(null) ? NaN : this.voxel(layer, number, place);
      return Number.isFinite(value) ? value : null;
    });
  }

  async finished() {
    return null;
  }

  voxel(layer, number, [z, y, x]) {
    return this.volumes[number][(z * layer.shape[1] + y) * layer.shape[2] + x];
  }
}

function clamp(index, length) {
  return Math.max(0, Math.min(length - 1, index));
}

// The bytes were sorted by their place in a number before they were compressed: alike ones stand together.
async function unpacked(text, layer) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const sorted = new Uint8Array(await new Response(stream).arrayBuffer());
  const size = layer.wire === "int16" ? 2 : 4;
  const count = sorted.length / size;
  const bytes = new Uint8Array(sorted.length);
  for (let part = 0; part < size; part += 1) {
    for (let number = 0; number < count; number += 1) bytes[number * size + part] = sorted[part * count + number];
  }
  return layer.wire === "int16" ? new Int16Array(bytes.buffer) : new Float32Array(bytes.buffer);
}
