// Compare: which groups are better, and is it more than luck? The answer of lake.compare in words, table and picture.

import { html, nothing, render } from "./vendor/lit-html.js";
import { ask, query } from "./api.js";
import { columnNames, nameField, sheet, usual } from "./sheet.js";
import { chosen, set, state } from "./state.js";

const CHOICES = { goal: ["", "min", "max"], center: ["mean", "median", "iqm"], test: ["auto", "t", "rank"], failed: ["exclude", "include"] };
const NAMES = ["metric", "by", "over", "task", "goal", "stat", "baseline", "center", "test", "failed", "unit"];

export function open(main, context) {
  return new ComparePage(main, context);
}

class ComparePage {
  constructor(main, context) {
    this.context = context;
    this.bar = Object.assign(document.createElement("section"), { className: "toolbar" });
    this.bar.setAttribute("aria-label", "What is compared");
    this.host = Object.assign(document.createElement("div"), { className: "pad" });
    main.append(this.bar, this.host);
  }

  changed() {
    this.load();
  }

  update() {
    this.draw();
    this.load();
  }

  get params() {
    const start = usual(this.context.schema);
    const params = chosen();
    for (const name of NAMES) for (const value of state.params.getAll(name)) params.append(name, value);
    if (!params.has("metric") && start.metric) params.set("metric", start.metric);
    if (!params.has("by") && start.config[0]) params.set("by", this.context.schema.columns.includes("config.model.name") ? "config.model.name" : start.x);
    return params;
  }

  async load() {
    if (!this.context.schema?.metrics.length) {
      this.error = "no run has logged a metric yet";
      return this.draw();
    }
    const params = this.params;
    const mine = (this.asked = params.toString());
    this.waiting = true;
    this.draw();
    try {
      const found = await ask("compare", params);
      if (mine !== this.asked) return;
      this.found = found;
      this.error = "";
    } catch (error) {
      if (mine !== this.asked) return;
      this.error = error.message;
      this.found = null;
    }
    this.waiting = false;
    this.draw();
  }

  draw() {
    const params = this.params;
    const schema = this.context.schema;
    const columns = columnNames(schema).filter((name) => !name.startsWith("summary."));
    const choice = (name) => html`<label>${name} <select @change=${(e) => set({ [name]: e.target.value === CHOICES[name][0] ? null : e.target.value })}>${CHOICES[name].map((word) => html`<option value=${word} ?selected=${word === (params.get(name) ?? CHOICES[name][0])}>${word || "as defined"}</option>`)}</select></label>`;
    render(
      html`${nameField("metric", "compare-metric", params.get("metric"), schema?.metrics ?? [], (v) => set({ metric: v }))}
        ${nameField("by", "compare-by", params.getAll("by").join(", "), columns, (v) => set({ by: v.split(",").map((s) => s.trim()).filter(Boolean) }))}
        ${nameField("over", "compare-over", params.get("over") ?? "", columns, (v) => set({ over: v }), "seed, if there is one")}
        ${choice("goal")} ${choice("center")} ${choice("test")} ${choice("failed")}
        ${nameField("baseline", "compare-base", params.get("baseline") ?? "", [], (v) => set({ baseline: v }), "the best")}`,
      this.bar,
    );
    const picture = new URLSearchParams(params);
    picture.set("kind", "leaderboard");
    render(
      this.error
        ? html`<p class="bad">${this.error}</p>`
        : !this.found
          ? html`<p class="quiet">comparing…</p>`
          : html`<div class=${this.waiting ? "waiting" : ""}>${sheet(this.found)}
              <p><img class="picture" alt="Centers and intervals of the groups" src=${query("picture", picture)} /></p>
              <details><summary>The same in Python, Markdown and LaTeX</summary>
                <pre class="block">${this.found.python}</pre><pre class="block">${this.found.markdown}</pre><pre class="block">${this.found.latex}</pre></details></div>`,
      this.host,
    );
  }
}
