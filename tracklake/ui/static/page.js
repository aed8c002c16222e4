// What pages share: a bar of choices, a line that tells, a place for what is shown; choices live in the address.

import { html } from "./vendor/lit-html.js";
import { query } from "./api.js";
import { element } from "./element.js";
import { middle } from "./format.js";
import { set, state } from "./state.js";

export class Page {
	// host: the class of the place for what is shown; about: that of the line above it.
	constructor(main, context, { label = "", about = "", host = "pad" } = {}) {
		const part = (...description) => main.appendChild(element(...description));
		this.context = context;
		if (label) this.bar = part("section", "toolbar", { "aria-label": label });
		if (about) this.info = part("div", about, { role: "status" });
		this.host = part("div", host);
	}

	close() {}

	// The lake has changed.
	changed() {
		this.load();
	}

	// The address has changed.
	update() {
		this.draw();
		this.load();
	}
}

// A page whose answer is one question's: what is asked anew makes an older answer void.
export class AnswerPage extends Page {
	turn = 0; // of another answer pictures are others

	// While runs log, what takes long is asked anew when it is answered, in a fifth of the time.
	changed() {
		if (this.busy) this.late = true;
		else this.load(true);
	}

	close() {
		this.late = false;
	}

	async load(live = false) {
		if (!this.context.schema) return;
		if (!this.context.schema.metrics.length) {
			this.error = "no run has logged a metric yet";
			return this.draw();
		}
		const params = this.params;
		const text = (this.asked = params.toString());
		const isOld = () => text !== this.asked;
		this.late = false;
		this.waiting = !live;
		this.busy = true;
		this.draw();
		const began = performance.now();
		try {
			const found = await this.answer(params);
			if (isOld()) return;
			this.found = found;
			this.turn += 1;
			this.error = "";
		} catch (error) {
			if (isOld()) return;
			this.error = error.message;
			this.found = null;
		}
		this.waiting = false;
		this.draw();
		if (this.found) await this.more?.(params, isOld);
		setTimeout(() => {
			this.busy = false;
			if (this.late) this.changed();
		}, 4 * (performance.now() - began));
	}
}

// A picture of the answer, drawn by the server.
export function picture(alt, params, extra) {
	const all = new URLSearchParams(params);
	for (const [name, value] of Object.entries(extra)) all.set(name, value);
	return html`<img class="picture drawn" loading="lazy" alt=${alt} src=${query("picture", all)} />`;
}

export const choice = (label, name, options, { preset = options[0], words = {} } = {}) =>
	html`<label>${label} <select @change=${(e) => set({ [name]: e.target.value === preset ? null : e.target.value })}>${options.map((word) => html`<option value=${word} ?selected=${word === (state.params.get(name) ?? preset)}>${words[word] ?? word}</option>`)}</select></label>`;

export const flag = (label, name) =>
	html`<label><input type="checkbox" .checked=${state.params.has(name)} @change=${() => set({ [name]: !state.params.has(name) })} />${label}</label>`;

// The filter of the address and one more condition.
export function both(condition) {
	const where = state.params.get("where");
	return where ? `(${where}) AND (${condition})` : condition;
}

export const filterChip = () => {
	const where = state.params.get("where");
	return where ? html`<button class="chip" title="take this filter away" @click=${() => set({ where: null })}>${middle(where, 40)} ×</button>` : "";
};

// A range of numbers in the address: low..high.
export function range(name) {
	const parts = (state.params.get(name) ?? "").split("..").map(Number);
	return parts.length === 2 && parts.every(Number.isFinite) ? parts : null;
}

export const written = ([low, high]) => `${low}..${high}`;
