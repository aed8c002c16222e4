// Groups of runs: n, and of each number its mean, spread and interval, in an ordinary table.

import { html, render } from "./vendor/lit-html.js";
import * as format from "./format.js";

export class GroupTable {
  constructor(host, { onOpen }) {
    this.host = document.createElement("div");
    this.host.className = "scroll";
    host.replaceChildren(this.host);
    this.onOpen = onOpen;
    this.sorted = null;
  }

  show(found) {
    this.found = found;
    this.draw();
  }

  order() {
    const rows = this.found.n.map((_, i) => i);
    if (!this.sorted) return rows;
    const { values, down } = this.sorted;
    const of = (i) => values(this.found)[i];
    return rows.sort((a, b) => {
      const [x, y] = [of(a), of(b)];
      if (x === y) return a - b;
      if (x === null || x === undefined) return 1;
      if (y === null || y === undefined) return -1;
      return (x < y ? -1 : 1) * (down ? -1 : 1);
    });
  }

  sort(id, values) {
    const again = this.sorted?.id === id;
    this.sorted = again && this.sorted.down ? { id, values, down: false } : again ? null : { id, values, down: true };
    this.draw();
  }

  heading(id, label, values, right = true) {
    const sorted = this.sorted?.id === id;
    return html`<th class=${right ? "number" : ""} aria-sort=${sorted ? (this.sorted.down ? "descending" : "ascending") : "none"}>
      <button class="plain" title=${label} @click=${() => this.sort(id, values)}>${label}${sorted ? (this.sorted.down ? " ▼" : " ▲") : ""}</button>
    </th>`;
  }

  draw() {
    const { keys, n, measures, conditions, total } = this.found;
    render(
      html`<table class="sheet">
          <thead>
            <tr>
              ${keys.map((key, k) => this.heading(`key${k}`, format.label(key.name), (f) => f.keys[k].values, false))}
              ${this.heading("n", "runs", (f) => f.n)}
              ${measures.map((m, k) => html`${this.heading(`mean${k}`, format.label(m.name), (f) => f.measures[k].mean)}
                <th class="number quiet">± std</th><th class="number quiet">95 % interval of the mean</th>`)}
            </tr>
          </thead>
          <tbody>
            ${this.order().map((i) => html`<tr>
                ${keys.map((key) => html`<td><button class="link" title="show these runs" @click=${() => this.onOpen(conditions[i])}>${key.values[i] === null ? "(none)" : format.value(key.values[i], key.type)}</button></td>`)}
                <td class="number">${n[i]}</td>
                ${measures.map((m) => html`<td class="number strong" title=${`${m.count[i]} values from ${m.min[i]} to ${m.max[i]}`}>${format.number(m.mean[i])}</td>
                  <td class="number quiet">${m.std[i] === null ? "" : format.number(m.std[i])}</td>
                  <td class="number quiet">${m.low[i] === null || m.low[i] === undefined ? "" : `${format.number(m.low[i])} … ${format.number(m.high[i])}`}</td>`)}
              </tr>`)}
          </tbody>
        </table>
        <p class="quiet">Interval: Student's t over the runs of a group, 95 %; for tests between groups see Compare.${total > n.length ? ` The first ${n.length} of ${total} groups are shown.` : ""}</p>`,
      this.host,
    );
  }
}
