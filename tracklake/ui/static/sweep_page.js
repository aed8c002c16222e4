// Sweep: what the chosen runs say of their settings: importance, marginals, luck, stability, early stopping.

import { html, nothing, render } from "./vendor/lit-html.js";
import { ask, query } from "./api.js";
import { frame, nameField, sheet, usual } from "./sheet.js";
import { chosen, runAddress, set, state } from "./state.js";

const PARTS = [
  ["best", "The best runs", ""],
  ["luck", "How much of the best is luck?", "The winner's curse: the best of many is best by skill and by luck; this is what new seeds should give."],
  ["stability", "How sure is the ranking?", "Ranks of the settings with their intervals, over seeds drawn again."],
  ["interactions", "Which settings depend on each other?", ""],
  ["replay", "Would early stopping have kept the best?", "The median rule, replayed over the curves that there are."],
];
const MARGINALS = 6;

export function open(main, context) {
  return new SweepPage(main, context);
}

class SweepPage {
  constructor(main, context) {
    this.context = context;
    this.bar = Object.assign(document.createElement("section"), { className: "toolbar" });
    this.bar.setAttribute("aria-label", "Which sweep");
    this.host = Object.assign(document.createElement("div"), { className: "pad" });
    main.append(this.bar, this.host);
    this.parts = {};
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
    for (const name of ["metric", "goal", "failed", "rule"]) if (state.params.get(name)) params.set(name, state.params.get(name));
    if (!params.has("metric") && start.metric) params.set("metric", start.metric);
    return params;
  }

  async load() {
    if (!this.context.schema?.metrics.length) {
      this.error = "no run has logged a metric yet";
      return this.draw();
    }
    const params = this.params;
    const mine = (this.asked = params.toString());
    const part = (name) => {
      const one = new URLSearchParams(params);
      one.set("part", name);
      return ask("sweep", one);
    };
    try {
      const overview = await part("overview");
      if (mine !== this.asked) return;
      this.overview = overview;
      this.error = "";
    } catch (error) {
      if (mine !== this.asked) return;
      this.error = error.message;
      this.overview = null;
    }
    this.draw();
    if (!this.overview) return;
    for (const [name] of PARTS) {
      const found = await part(name).catch((error) => ({ error: error.message }));
      if (mine !== this.asked) return;
      this.parts[name] = found;
      this.draw();
    }
  }

  picture(kind, extra = {}) {
    const params = new URLSearchParams(this.params);
    params.set("kind", kind);
    for (const [name, value] of Object.entries(extra)) params.set(name, value);
    return html`<img class="picture" loading="lazy" alt=${`${kind} ${extra.parameter ?? ""}`} src=${query("picture", params)} />`;
  }

  part([name, title, about]) {
    const found = this.parts[name];
    return html`<section><h2>${title}</h2>${about ? html`<p class="quiet">${about}</p>` : nothing}
      ${!found ? html`<p class="quiet">…</p>` : found.error ? html`<p class="quiet">${found.error}</p>` : found.text ? html`<p class="said">${found.text}</p>` : found.table ? frame(found.table, { link: runAddress }) : sheet(found)}</section>`;
  }

  draw() {
    const params = this.params;
    render(
      html`${nameField("metric", "sweep-metric", params.get("metric"), this.context.schema?.metrics ?? [], (v) => set({ metric: v }))}
        <label>goal <select @change=${(e) => set({ goal: e.target.value })}>${["", "min", "max"].map((word) => html`<option value=${word} ?selected=${word === (params.get("goal") ?? "")}>${word || "as defined"}</option>`)}</select></label>
        <span class="quiet">of the runs that are chosen by project and filter</span>`,
      this.bar,
    );
    render(
      this.error
        ? html`<p class="bad">${this.error}</p>`
        : !this.overview
          ? html`<p class="quiet">reading the sweep…</p>`
          : html`${sheet(this.overview)}
              ${this.overview.parameters.length ? html`<h2>Which settings mattered?</h2><p class="quiet">Not what causes what, where settings were not varied apart from each other.</p>
                    ${this.picture("importance")}
                    <h2>How does each setting act?</h2>
                    <div class="pictures">${this.overview.parameters.slice(0, MARGINALS).map((parameter) => this.picture("marginal", { parameter }))}</div>` : nothing}
              ${PARTS.map((one) => this.part(one))}`,
      this.host,
    );
  }
}
