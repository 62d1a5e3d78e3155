// The rating pages: check of the display, what to do, one picture after the other.

const CARD_MM = 85.6;
const CARD_RATIO = 53.98 / 85.6;
const STEPS = 12;
// Levels beside black and white that a display of its age still shows; how many there are is drawn anew each time.
const HARDLY = [3, 5, 7, 9, 11];

const element = (id) => document.getElementById(id);
const SECTIONS = ["check", "read", "item", "done"];

class Rating {
  constructor(study) {
    this.study = study;
    this.at = Math.max(0, study.items.findIndex((item) => !item.marks));
    this.squares = 3 + Math.floor(Math.random() * 3);
    element("title").textContent = study.title;
    document.title = study.title;
    element("notice").textContent = study.notice;
    element("instructions").textContent = study.instructions;
    this.listen();
    if (study.checked) this.show("read");
    else this.check();
  }

  listen() {
    element("checked").addEventListener("click", () => this.keepCheck());
    element("card-width").addEventListener("input", () => this.card());
    element("begin").addEventListener("click", () => this.begin());
    element("again").addEventListener("click", () => { this.at = 0; this.item(); });
    element("back").addEventListener("click", () => this.back());
    element("next").addEventListener("click", () => this.next());
    element("questions").addEventListener("submit", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => this.key(event));
  }

  show(name) {
    for (const one of SECTIONS) element(one).hidden = one !== name;
    document.body.dataset.section = name;
    this.told("");
    if (name === "read") element("begin").focus();
  }

  told(text) {
    element("told").textContent = text;
    element("told").hidden = !text;
  }

  check() {
    this.show("check");
    const steps = element("steps").getContext("2d");
    for (let step = 0; step < STEPS; step += 1) {
      grey(steps, Math.round((255 * step) / (STEPS - 1)), step * 40, 0, 40, 40);
    }
    for (const [id, ground, sense] of [["dark", 0, 1], ["bright", 255, -1]]) {
      const context = element(id).getContext("2d");
      grey(context, ground, 0, 0, 240, 90);
      for (let square = 0; square < this.squares; square += 1) {
        grey(context, ground + sense * HARDLY[HARDLY.length - 1 - square], 12 + square * 45, 28, 34, 34);
      }
    }
    this.card();
  }

  card() {
    const width = Number(element("card-width").value);
    element("card").style.width = `${width}px`;
    element("card").style.height = `${width * CARD_RATIO}px`;
    element("card-told").textContent = `${(width / CARD_MM).toFixed(2)} pixels a millimetre`;
  }

  async keepCheck() {
    const [dark, bright] = ["dark-seen", "bright-seen"].map((id) => element(id).value);
    if (dark === "" || bright === "") {
      this.told("Say for both fields how many squares you see.");
      return;
    }
    const perMillimetre = Number(element("card-width").value) / CARD_MM;
    const said = { dark: Number(dark), bright: Number(bright), squares: this.squares, pixels_per_mm: perMillimetre };
    if (!(await this.send("api/display", said))) return;
    this.show("read");
    if (said.dark !== this.squares || said.bright !== this.squares) {
      this.told(`There are ${this.squares} squares in each field. What cannot be told apart there is not seen in pictures either: set the display, or note it.`);
    }
  }

  begin() {
    if (this.study.items.every((item) => item.marks)) this.show("done");
    else this.item();
  }

  item() {
    const { items, criteria, choice } = this.study;
    const item = items[this.at];
    this.show("item");
    element("item").focus();
    this.marks = { ...item.marks };
    element("picture").src = `api/picture/${item.picture}`;
    element("picture").alt = choice
      ? "The original, and two pictures of the same place to choose from"
      : "The original on the left, the picture to be marked on the right";
    this.began = performance.now();
    element("progress").max = items.length;
    element("progress").value = items.filter((one) => one.marks).length;
    element("progress-told").textContent = `Picture ${this.at + 1} of ${items.length}`;
    element("back").disabled = this.at === 0;
    element("questions").replaceChildren(...criteria.map((criterion) => this.question(criterion)));
    this.current = Math.max(0, this.open);
    this.frame();
    // The pictures after this one are fetched while it is looked at.
    if (items[this.at + 1]) new Image().src = `api/picture/${items[this.at + 1].picture}`;
  }

  question({ name, low, high }) {
    const field = document.createElement("fieldset");
    const legend = document.createElement("legend");
    legend.textContent = name;
    field.append(legend);
    for (let mark = low; mark <= high; mark += 1) {
      const label = document.createElement("label");
      const button = document.createElement("input");
      button.type = "radio";
      button.name = name;
      button.value = mark;
      button.checked = this.marks[name] === mark;
      button.addEventListener("change", () => this.mark(name, mark));
      label.append(button, this.study.choice ? ["left", "right"][mark - 1] : String(mark));
      field.append(label);
    }
    return field;
  }

  // The first question without a mark; -1: all have one.
  get open() {
    return this.study.criteria.findIndex(({ name }) => !(name in this.marks));
  }

  mark(name, mark) {
    this.marks[name] = mark;
    for (const button of element("questions").querySelectorAll("input")) {
      button.checked = this.marks[button.name] === Number(button.value);
    }
    // The next question is framed, which the next number key marks.
    const number = this.study.criteria.findIndex((criterion) => criterion.name === name);
    this.current = Math.min(number + 1, this.study.criteria.length - 1);
    this.frame();
  }

  frame() {
    [...element("questions").children].forEach((field, number) => field.classList.toggle("now", number === this.current));
    element("next").disabled = this.open !== -1;
  }

  move(step) {
    this.current = Math.max(0, Math.min(this.study.criteria.length - 1, this.current + step));
    this.frame();
  }

  async next() {
    if (this.open !== -1 || this.sending) return;
    const item = this.study.items[this.at];
    const seconds = (performance.now() - this.began) / 1000;
    if (!(await this.send("api/answer", { label: item.label, marks: this.marks, seconds }))) return;
    item.marks = { ...this.marks };
    const open = this.study.items.findIndex((one, number) => number > this.at && !one.marks);
    if (this.at + 1 < this.study.items.length) {
      this.at = this.study.items[this.at + 1].marks && open !== -1 ? open : this.at + 1;
      this.item();
    } else if (this.study.items.every((one) => one.marks)) {
      this.show("done");
    } else {
      this.at = this.study.items.findIndex((one) => !one.marks);
      this.item();
    }
  }

  back() {
    if (this.at === 0) return;
    this.at -= 1;
    this.item();
  }

  key(event) {
    if (document.body.dataset.section !== "item" || event.ctrlKey || event.metaKey || event.altKey) return;
    const { name, low, high } = this.study.criteria[this.current];
    const onRadio = event.target.type === "radio";
    if (/^[0-9]$/.test(event.key)) {
      const mark = Number(event.key);
      if (mark >= low && mark <= high) this.mark(name, mark);
    } else if (event.key === "ArrowLeft" && this.study.choice && !onRadio) this.mark(name, 1);
    else if (event.key === "ArrowRight" && this.study.choice && !onRadio) this.mark(name, 2);
    else if (event.key === "ArrowUp" && !onRadio) this.move(-1);
    else if (event.key === "ArrowDown" && !onRadio) this.move(1);
    else if (event.key === "Enter" && event.target.tagName !== "BUTTON") this.next();
    else if (event.key === "Backspace") this.back();
    else return;
    event.preventDefault();
  }

  async send(where, said) {
    this.sending = true;
    try {
      const answer = await fetch(where, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(said),
      });
      if (!answer.ok) throw new Error(await answer.text());
      this.told("");
      return true;
    } catch (error) {
      this.told(`This answer is not kept: ${error.message}. Try again; what was answered before is safe.`);
      return false;
    } finally {
      this.sending = false;
    }
  }
}

function grey(context, level, x, y, width, height) {
  context.fillStyle = `rgb(${level}, ${level}, ${level})`;
  context.fillRect(x, y, width, height);
}

async function begin() {
  const answer = await fetch("api/study");
  if (!answer.ok) {
    element("told").textContent = await answer.text();
    element("told").hidden = false;
    return;
  }
  window.rating = new Rating(await answer.json());
  document.body.dataset.ready = "yes";
}

begin();
