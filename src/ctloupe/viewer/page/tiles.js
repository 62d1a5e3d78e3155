// Tiles that have come, those that are on their way, and those that were not used for longest, which go.

const MOST_BYTES = 256e6;
const AT_ONCE = 6;
const TRY_AGAIN_AFTER = 5000;

export class TileStore {
  constructor(source, scene, renderer, changed) {
    this.source = source;
    this.scene = scene;
    this.renderer = renderer;
    this.changed = changed;
    this.held = new Map();
    this.coming = new Map();
    this.wanted = [];
    this.bytes = 0;
    this.failure = "";
    this.failed = new Map();
  }

  key(number, axis, level, index, row, column) {
    return `${number}/${axis}/${level}/${index}/${row}/${column}/${this.scene.layers[number].version ?? 0}`;
  }

  // The tile if it is here.
  get(...place) {
    const key = this.key(...place);
    const found = this.held.get(key);
    if (found) {
      this.held.delete(key);
      this.held.set(key, found);
    }
    return found;
  }

  // What the picture now needs, the most important first; whatever else is on its way is given up.
  want(places) {
    const keys = new Map(places.map((place) => [this.key(...place), place]));
    for (const [key, { abort }] of this.coming) {
      if (!keys.has(key)) abort.abort();
    }
    const now = Date.now();
    const rests = (key) => now - (this.failed.get(key) ?? 0) < TRY_AGAIN_AFTER;
    this.wanted = [...keys].filter(([key]) => !this.held.has(key) && !this.coming.has(key) && !rests(key));
    this.fetchMore();
  }

  get busy() {
    return this.coming.size + this.wanted.length > 0;
  }

  fetchMore() {
    while (this.wanted.length && this.coming.size < AT_ONCE) {
      const [key, place] = this.wanted.shift();
      const abort = new AbortController();
      this.coming.set(key, { abort });
      this.load(key, place, abort.signal);
    }
  }

  async load(key, place, signal) {
    const [number, axis, level, index, row, column] = place;
    const layer = this.scene.layers[number];
    try {
      const values = await this.source.tile(layer, number, axis, level, index, row, column, signal);
      const width = Math.min(this.scene.tile, layer.planes[axis][level].shape[1] - column * this.scene.tile) + 2 * this.scene.border;
      this.keep(key, this.renderer.texture(values, width, values.length / width));
      this.failed.delete(key);
    } catch (error) {
      if (error.name !== "AbortError") {
        this.failure = error.message;
        this.failed.set(key, Date.now());
        setTimeout(() => this.changed(), TRY_AGAIN_AFTER + 100);
      }
    }
    if (!this.failed.size) this.failure = "";
    this.coming.delete(key);
    this.changed();
    this.fetchMore();
  }

  keep(key, tile) {
    this.held.set(key, tile);
    this.bytes += tile.bytes;
    for (const [old, one] of this.held) {
      if (this.bytes <= MOST_BYTES || old === key) break;
      this.renderer.release(one);
      this.bytes -= one.bytes;
      this.held.delete(old);
    }
  }
}
