// Groups of runs: n, and of each number its mean, spread and interval, in an ordinary table.

import { html, render } from "./vendor/lit-html.js";
import { element } from "./element.js";
import * as format from "./format.js";
import { set, state } from "./state.js";

export class GroupTable {
	constructor(host, { onOpen }) {
		this.host = element("div", "scroll");
		host.replaceChildren(this.host);
		this.onOpen = onOpen;
	}

	show(found) {
		this.found = found;
		this.draw();
	}

	// The column that is sorted by lies in the address: gsort=-mean:summary.loss.
	get sorted() {
		const text = state.params.get("gsort");
		return text ? { id: text.slice(1), down: text.startsWith("-") } : null;
	}

	valuesOf(id) {
		const { keys, n, measures } = this.found;
		const [kind, ...name] = id.split(":");
		const of = (columns) => columns.find((column) => column.name === name.join(":"));
		return kind === "n" ? n : kind === "key" ? of(keys)?.values : of(measures)?.mean;
	}

	order() {
		const rows = this.found.n.map((_, i) => i);
		const values = this.sorted && this.valuesOf(this.sorted.id);
		if (!values) return rows;
		const isLack = (v) => v === null || v === undefined;
		return rows.sort((a, b) => {
			const [x, y] = [values[a], values[b]];
			if (x === y) return a - b;
			if (isLack(x) || isLack(y)) return isLack(x) ? 1 : -1;
			return (x < y ? -1 : 1) * (this.sorted.down ? -1 : 1);
		});
	}

	sort(id) {
		const isAgain = this.sorted?.id === id;
		set({ gsort: isAgain && !this.sorted.down ? null : `${isAgain ? "+" : "-"}${id}` });
	}

	heading(id, label, right = true) {
		const sorted = this.sorted?.id === id;
		return html`<th class=${right ? "number" : ""} aria-sort=${sorted ? (this.sorted.down ? "descending" : "ascending") : "none"}>
			<button class="plain" title=${label} @click=${() => this.sort(id)}>${label}${sorted ? (this.sorted.down ? " ▼" : " ▲") : ""}</button>
		</th>`;
	}

	draw() {
		const { keys, n, measures, conditions, total } = this.found;
		render(
			html`<table class="sheet">
					<thead>
						<tr>
							${keys.map((key) => this.heading(`key:${key.name}`, format.label(key.name), false))}
							${this.heading("n", "runs")}
							${measures.map((m) => html`${this.heading(`mean:${m.name}`, format.label(m.name))}
								<th class="number quiet">± std</th><th class="number quiet">95 % interval of the mean</th>`)}
						</tr>
					</thead>
					<tbody>
						${this.order().map((i) => html`<tr>
								${keys.map((key) => html`<td><button class="link" title="show these runs" @click=${() => this.onOpen(conditions[i])}>${key.values[i] === null ? "null" : format.value(key.values[i], key.type)}</button></td>`)}
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
