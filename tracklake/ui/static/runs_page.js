// The runs table: every run in one grid.

import { html, render } from "./vendor/lit-html.js";
import { ask, change } from "./api.js";
import { chooseColumns, chooseGroups } from "./columns_dialog.js";
import { copyButton } from "./code_dialog.js";
import { element } from "./element.js";
import { editSelected } from "./edit_dialog.js";
import { showViews } from "./views_dialog.js";
import { GroupTable } from "./group_table.js";
import { Grid } from "./grid.js";
import * as format from "./format.js";
import { both, Page } from "./page.js";
import { address, chosen, go, runAddress, set, state } from "./state.js";

const BLOCK = 100;
const MOST = 500; // runs in an address
const WIDTHS = { number: 108, time: 136, text: 130, flag: 80, list: 140 };
const ROW_KEYS = ["lake", "project", "where", "q", "run", "archived", "order", "col", "differ"];

export const open = (main, context) => new RunsPage(main, context, { label: "What is shown", about: "message", host: "fill" });

class RunsPage extends Page {
	loading = new Set();
	total = null;
	baseline = null;

	close() {
		this.grid?.close();
		this.abort?.abort();
	}

	// The address has changed.
	update() {
		const rowKey = chosen([...ROW_KEYS, "group"]).toString();
		const pinKey = [...state.params.getAll("pin"), state.params.get("base")].join("\n");
		if (rowKey !== this.rowKey || pinKey !== this.pinKey) {
			const isFirst = this.rowKey === undefined;
			this.rowKey = rowKey;
			this.pinKey = pinKey;
			if (!isFirst && this.grid) {
				this.grid.scroller.scrollTop = 0;
				this.grid.active = -1;
			}
			this.reload(isFirst ? Number(state.params.get("top") ?? 0) : 0);
		} else if (this.isGrouped) this.groups?.draw();
		this.readSelection();
		this.draw();
	}

	changed() {
		this.reload(null);
	}

	get isGrouped() {
		return state.params.getAll("group").length > 0;
	}

	async reload(top) {
		this.abort?.abort();
		this.abort = new AbortController();
		this.loading.clear();
		try {
			if (this.isGrouped) await this.loadGroups();
			else await this.loadRows(top);
			this.error = "";
		} catch (error) {
			if (error.name === "AbortError") return;
			this.error = error.message;
		}
		this.draw();
	}

	async loadGroups() {
		const params = chosen([...ROW_KEYS, "group"]);
		const found = await ask("groups", params, { signal: this.abort.signal });
		this.grid?.close();
		this.grid = null;
		this.total = found.total;
		this.groups ??= new GroupTable(this.host, { onOpen: (condition) => this.openGroup(condition) });
		this.groups.show(found);
	}

	openGroup(condition) {
		set({ where: both(condition), group: null, top: null });
	}

	makeGrid() {
		if (this.grid) return;
		this.host.replaceChildren();
		this.groups = null;
		this.grid = new Grid(this.host, {
			label: "Runs",
			href: runAddress,
			cell: (cell, column, data) => this.cell(cell, column, data),
			sortOf: (name) => this.sortOf(name),
			onWindow: (first, end) => this.need(first, end),
			onSort: (name, event) => this.sort(name, event.shiftKey),
			onOpen: (id) => go(runAddress(id)),
			onSelection: (_, range) => this.selection(range),
		});
		this.readSelection();
	}

	async fetchBlock(offset, limit = BLOCK) {
		const params = chosen(ROW_KEYS);
		params.set("offset", offset);
		params.set("limit", limit);
		return ask("runs", params, { signal: this.abort.signal });
	}

	async loadRows(top) {
		const pins = this.fetchPinned();
		const isLive = top === null;
		const first = isLive && this.grid ? this.grid.firstRow : (top ?? 0);
		const offset = Math.floor(first / BLOCK) * BLOCK;
		const count = first + 60 > offset + BLOCK ? 2 * BLOCK : BLOCK;
		const found = await this.fetchBlock(offset, count);
		this.makeGrid();
		this.total = found.total;
		this.hiddenColumns = found.hidden_columns;
		this.names = found.columns.map((column) => column.name);
		this.grid.pinned = await pins;
		this.grid.setColumns(this.columnsOf(found.columns));
		this.grid.setRows(found.total, rowsOf(found));
		if (!isLive && top) requestAnimationFrame(() => this.grid?.scrollToRow(top));
	}

	async fetchPinned() {
		const base = state.params.get("base");
		const ids = [...new Set([...(base ? [base] : []), ...state.params.getAll("pin")])];
		this.baseline = null;
		if (!ids.length) return [];
		const params = chosen(["lake", "col"]);
		for (const id of ids) params.append("run", id);
		params.set("archived", "1");
		const found = await ask("runs", params, { signal: this.abort.signal });
		const rows = new Map([...rowsOf(found).values()].map((row) => [row.id, { ...row, values: new Map(found.columns.map((c, i) => [c.name, row.values[i]])) }]));
		this.baseline = base ? rows.get(base) : null;
		return ids.map((id) => rows.get(id)).filter(Boolean);
	}

	columnsOf(columns) {
		return columns
			.map((column, index) => ({ name: column.name, index, type: column.type, label: format.label(column.name) }))
			.filter((column) => column.name !== "name")
			.map((column) => ({ ...column, sort: this.sortOf(column.name), width: (this.baseline && column.type === "number" ? 62 : 0) + Math.max(WIDTHS[column.type] ?? 130, Math.min(220, 36 + 8.2 * column.label.length)) }));
	}

	// What the rows are sorted by without being shown.
	get hiddenOrders() {
		const shown = ["name", ...(this.names ?? [])];
		return this.isGrouped ? [] : state.params.getAll("order").filter((order) => !shown.includes(bare(order)));
	}

	sortOf(name) {
		const order = state.params.getAll("order").find((o) => bare(o) === name);
		return order === undefined ? undefined : order.startsWith("-") ? "descending" : "ascending";
	}

	sort(name, add) {
		const orders = state.params.getAll("order");
		const old = orders.find((o) => bare(o) === name);
		const goal = this.context.schema?.goals ?? {};
		const metric = Object.keys(goal).find((m) => name === `summary.${m}` || name.startsWith(`summary.${m}.`));
		const firstDown = metric ? goal[metric] === "max" : /^created_at$|\.max$/.test(name);
		const cycle = [`${firstDown ? "-" : "+"}${name}`, `${firstDown ? "+" : "-"}${name}`, null];
		const next = cycle[(cycle.indexOf(old ?? null) + 1) % 3];
		const rest = add ? orders.filter((o) => o !== old) : [];
		set({ order: next ? [...rest, next] : rest, top: null });
	}

	cell(cell, column, data) {
		const value = data.values instanceof Map ? data.values.get(column.name) : data.values[column.index];
		cell.title = `${column.name}: ${format.exact(value, column.type)}`;
		if (column.name === "tags" && value) {
			return cell.append(...value.map((tag) => element("span", "tag", {}, tag)));
		}
		cell.textContent = column.name === "runtime" ? format.duration(value) : format.value(value, column.type);
		if (typeof value === "string" && column.type === "number") cell.classList.add("odd");
		const base = this.baseline?.values.get(column.name);
		if (column.type === "number" && typeof value === "number" && typeof base === "number" && data.id !== this.baseline.id && value !== base) {
			cell.append(element("small", "", {}, ` ${format.signed(value - base)}`));
		}
	}

	async need(first, end) {
		clearTimeout(this.topTimer);
		this.topTimer = setTimeout(() => {
			if (this.grid && state.parts[0] === "runs") set({ top: this.grid.firstRow || null }, { silent: true });
		}, 250);
		for (let block = Math.floor(first / BLOCK); block <= Math.floor(Math.max(first, end - 1) / BLOCK); block++) {
			const last = Math.min((block + 1) * BLOCK, this.total) - 1;
			if (last < block * BLOCK || this.loading.has(block) || (this.grid.rows.has(block * BLOCK) && this.grid.rows.has(last))) continue;
			this.loading.add(block);
			this.fetchBlock(block * BLOCK)
				.then((found) => (`${found.columns.map((c) => c.name)}` == this.names ? this.grid?.addRows(rowsOf(found)) : this.reload(null)))
				.catch((error) => error.name === "AbortError" || this.context.problem(error))
				.finally(() => this.loading.delete(block));
		}
	}

	async selection(range) {
		if (range && range[1] - range[0] + 1 > BLOCK) {
			for (let at = range[0]; at <= range[1]; at += 500) {
				const found = await this.fetchBlock(at, Math.min(500, range[1] - at + 1));
				for (const id of found.run_ids) this.grid.selected.add(id);
			}
			this.grid.redraw();
		}
		set({ sel: this.ids.slice(0, MOST) }, { silent: true });
		this.draw();
	}

	// The selection is that of the address, which has room for a part.
	readSelection() {
		const wanted = state.params.getAll("sel");
		if (!this.grid || this.ids.slice(0, MOST).join() === wanted.join()) return;
		this.grid.selected = new Set(wanted);
		this.grid.redraw();
	}

	key_(event) {
		this.grid?.key(event);
	}

	get ids() {
		return [...(this.grid?.selected ?? [])];
	}

	draw() {
		const p = state.params;
		const ids = this.ids;
		render(
			html`<input data-search type="search" aria-label="Search" placeholder="search names, notes  ( / )" .value=${p.get("q") ?? ""} @keydown=${leave} @change=${(e) => set({ q: e.target.value, top: null })} />
				<input class="where" type="search" spellcheck="false" aria-label="Filter in SQL" placeholder=${'filter in SQL: config.lr < 0.1 AND "summary.val/acc.max" > 0.9'} .value=${p.get("where") ?? ""} @keydown=${leave} @change=${(e) => set({ where: e.target.value, top: null })} />
				<button @click=${() => chooseColumns(this.context, this.names ?? [])}>Columns${this.hiddenColumns ? html` <small>+${this.hiddenColumns}</small>` : ""}</button>
				<button aria-pressed=${this.isGrouped} @click=${() => chooseGroups(this.context)}>Group${this.isGrouped ? `: ${p.getAll("group").map(format.label).join(", ")}` : ""}</button>
				<button aria-pressed=${p.has("differ")} title="Only columns in which runs differ" @click=${() => set({ differ: !p.has("differ") })}>Differing</button>
				<button aria-pressed=${p.has("archived")} title="Show archived runs as well" @click=${() => set({ archived: !p.has("archived"), top: null })}>Archived</button>
				${copyButton(() => chosen([...ROW_KEYS, "group"]), this.isGrouped ? "groups" : "runs")}
				<button @click=${() => showViews(this.context)}>Views</button>`,
			this.bar,
		);
		render(
			this.error
				? html`<p class="bad">${this.error}</p>`
				: html`<span>${this.total === null ? "" : format.count(this.total, this.isGrouped ? "group" : "run")}${this.total === 0 ? (p.size ? ": none is like this" : ": one stands here as soon as it logs") : ""}</span>
						${p.getAll("run").length ? html`<button class="chip" @click=${() => set({ run: null })}>${format.count(p.getAll("run").length, "chosen run")} ×</button>` : ""}
						${this.hiddenOrders.map((order) => html`<span>${order.startsWith("-") ? "▼" : "▲"} ${format.label(bare(order))}</span>`)}
						${p.get("base") ? html`<button class="chip" @click=${() => set({ base: null })}>baseline ${p.get("base")} ×</button>` : ""}
						${this.deleted ? html`<span>${format.count(this.deleted.length, "run")} deleted</span> <button @click=${() => this.undo()}>Undo</button>` : ""}
						${ids.length ? this.actions(ids) : ""}`,
			this.info,
		);
	}

	actions(ids) {
		const some = ids.slice(0, MOST);
		return html`<span class="strong">${format.count(ids.length, "run")} selected</span>${ids.length > MOST ? html` <span class="quiet">(the address names the first ${MOST})</span>` : ""}
			<a data-page class="button" href=${address("/charts", { run: some, where: null, q: null })}>Charts</a>
			<a data-page class="button" href=${address("/runs", { run: some, where: null, q: null })}>Only these</a>
			${ids.length === 2 ? html`<a data-page class="button" href=${runAddress(ids[0], { diff: ids[1] })}>Diff</a>` : ""}
			<button @click=${() => set({ pin: [...new Set([...state.params.getAll("pin"), ...some.slice(0, 10)])] })}>Pin</button>
			${state.params.getAll("pin").length ? html`<button @click=${() => set({ pin: null })}>Unpin all</button>` : ""}
			${ids.length === 1 ? html`<button @click=${() => set({ base: ids[0] })}>Baseline</button>` : ""}
			${this.context.readOnly ? "" : html`<button @click=${() => this.edit(ids)}>Edit…</button>`}
			<button class="plain" @click=${() => this.clear()}>clear</button>`;
	}

	clear() {
		this.grid.selected.clear();
		this.grid.redraw();
		this.selection();
	}

	edit(ids) {
		const save = async (changes) => {
			await change("edit", { runs: ids, ...changes });
			await this.context.refresh();
		};
		const remove = async () => {
			await change("delete", { runs: ids });
			this.deleted = ids;
			this.clear();
			await this.context.refresh();
		};
		editSelected(ids, save, remove);
	}

	async undo() {
		const runs = this.deleted;
		this.deleted = null;
		await change("restore", { runs }).catch((error) => this.context.problem(error));
		await this.context.refresh();
	}
}

const bare = (order) => order.replace(/^[-+]/, "");

// Enter ends typing: keys are the table's again.
const leave = (event) => event.key === "Enter" && event.target.blur();

function rowsOf(found) {
	const rows = new Map();
	found.run_ids.forEach((id, i) => {
		rows.set(found.offset + i, { id, name: found.names[i] ?? id, state: found.states[i] ?? "", values: found.columns.map((column) => column.values[i]) });
	});
	return rows;
}
