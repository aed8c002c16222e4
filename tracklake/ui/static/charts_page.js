// Charts: the curves of the chosen runs, a card a metric, in sections by the first part of the name.

import { html, nothing, render } from "./vendor/lit-html.js";
import { ask } from "./api.js";
import { Chart } from "./chart.js";
import * as format from "./format.js";
import { address, chosen, runAddress, set, state } from "./state.js";

const CARDS = 200;
const LINES = 50;

export function open(main, context) {
  return new ChartsPage(main, context);
}

class ChartsPage {
  constructor(main, context) {
    this.context = context;
    this.bar = Object.assign(document.createElement("section"), { className: "toolbar" });
    this.bar.setAttribute("aria-label", "What is drawn");
    this.legend = Object.assign(document.createElement("div"), { className: "legend" });
    this.host = document.createElement("div");
    main.append(this.bar, this.legend, this.host);
    this.charts = new Map();
    this.runs = { run_ids: [], names: [], total: 0 };
  }

  close() {
    for (const chart of this.charts.values()) chart.close();
  }

  changed() {
    this.load(true);
  }

  update() {
    this.load(false);
  }

  async load(live) {
    const p = state.params;
    try {
      const params = chosen();
      for (const name of ["order"]) for (const value of p.getAll(name)) params.append(name, value);
      params.set("col", "name");
      params.set("limit", LINES);
      this.runs = await ask("runs", params);
      this.labels = p.getAll("by").length ? (await ask("labels", { by: p.getAll("by") })).labels : [];
      this.error = "";
    } catch (error) {
      this.error = error.message;
      return this.draw();
    }
    this.draw();
    this.drawCharts(live);
  }

  get metrics() {
    const all = this.context.schema?.metrics ?? [];
    const text = state.params.get("metric");
    const picked = state.params.getAll("card");
    if (picked.length) return picked;
    if (!text) return all;
    try {
      const pattern = new RegExp(text, "i");
      this.patternError = "";
      return all.filter((name) => pattern.test(name));
    } catch (error) {
      this.patternError = error.message;
      return [];
    }
  }

  drawCharts(live) {
    const p = state.params;
    const metrics = this.metrics.slice(0, CARDS);
    const places = new Map(this.runs.run_ids.map((id, i) => [id, i]));
    const settings = {
      x: p.get("x") ?? "step",
      logX: p.has("logx"),
      logY: p.has("logy"),
      smooth: Number(p.get("smooth") ?? 0),
      by: p.getAll("by"),
      labels: this.labels,
      sync: "charts",
      colorOf: (id, i) => ({ color: format.color(places.get(id) ?? i), dash: format.dash(places.get(id) ?? i) }),
    };
    const params = chosen();
    for (const value of p.getAll("order")) params.append("order", value);
    if (!settings.by.length && this.runs.total > LINES) for (const id of this.runs.run_ids) params.append("run", id);
    const key = JSON.stringify([metrics, settings, params.toString()]);
    if (key === this.chartKey && !live) return;
    this.chartKey = key;
    const sections = new Map();
    for (const metric of metrics) {
      const cut = metric.search(/[/.]/);
      const section = cut > 0 ? metric.slice(0, cut) : "";
      sections.set(section, [...(sections.get(section) ?? []), metric]);
    }
    const layout = JSON.stringify([...sections]);
    if (layout !== this.layout) {
      this.layout = layout;
      this.close();
      this.charts.clear();
      this.host.replaceChildren();
      for (const [section, names] of [...sections].sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (sections.size > 1) this.host.append(Object.assign(document.createElement("h2"), { className: "section-title", textContent: section || "other" }));
        const cards = Object.assign(document.createElement("div"), { className: "cards" });
        this.host.append(cards);
        for (const metric of names) this.charts.set(metric, new Chart(cards, { metric, ...settings }));
      }
    }
    for (const chart of this.charts.values()) chart.load(params, { live, settings: { ...settings } });
  }

  draw() {
    const p = state.params;
    const schema = this.context.schema ?? { columns: [], metrics: [] };
    const groupable = schema.columns.filter((name) => !name.startsWith("summary.") && !["run_id", "name", "created_at", "runtime", "tags", "notes"].includes(name));
    const xs = ["step", "relative", "time", ...schema.metrics.slice(0, 500)];
    const by = p.getAll("by");
    render(
      html`<input data-search type="search" aria-label="Metrics" placeholder="metrics: a part or a regex  ( / )" .value=${p.get("metric") ?? ""} @change=${(e) => set({ metric: e.target.value })} />
        <label>x <select @change=${(e) => set({ x: e.target.value === "step" ? null : e.target.value })}>${xs.map((name) => html`<option value=${name} ?selected=${name === (p.get("x") ?? "step")}>${{ relative: "relative time", time: "wall time" }[name] ?? name}</option>`)}</select></label>
        <label>group by <select @change=${(e) => set({ by: e.target.value || null })}><option value="">nothing: a line a run</option>${groupable.map((name) => html`<option value=${name} ?selected=${by.includes(name)}>${format.label(name)}</option>`)}</select></label>
        <label><input type="checkbox" .checked=${p.has("logx")} @change=${() => set({ logx: !p.has("logx") })} />log x</label>
        <label><input type="checkbox" .checked=${p.has("logy")} @change=${() => set({ logy: !p.has("logy") })} />log y</label>
        <label>smooth <select ?disabled=${by.length > 0} @change=${(e) => set({ smooth: e.target.value })}>${["", "0.5", "0.8", "0.9", "0.95", "0.99"].map((w) => html`<option value=${w} ?selected=${w === (p.get("smooth") ?? "")}>${w || "no"}</option>`)}</select></label>
        <span class="quiet">drag to zoom, double click for all</span>`,
      this.bar,
    );
    const total = this.runs.total;
    render(
      this.error
        ? html`<span class="bad">${this.error}</span>`
        : html`<span class="quiet">${format.count(total, "run")}${by.length === 0 && total > LINES ? `, the first ${LINES} drawn` : ""}: <a data-page href=${address("/runs")}>choose runs</a>${this.patternError ? html` <span class="bad">${this.patternError}</span>` : nothing}</span>
            ${by.length ? this.labels.slice(0, 40).map((label, i) => html`<span class="item">${line(i)}${label}</span>`) : this.runs.run_ids.map((id, i) => html`<span class="item">${line(i)}<a data-page class="clip" href=${runAddress(id)}>${this.runs.names[i] ?? id}</a></span>`)}`,
      this.legend,
    );
  }
}

const line = (i) => html`<svg viewBox="0 0 22 8" aria-hidden="true"><line x1="0" y1="4" x2="22" y2="4" stroke=${format.color(i)} stroke-width="2.5" stroke-dasharray=${format.dash(i).join(" ")} /></svg>`;
