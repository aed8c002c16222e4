// A grid of any number of rows: only what can be seen is in the document. Rows come in windows, by number.

import { bothEnds, element } from "./element.js";

const ROW = 26;
const MORE = 8; // rows drawn beyond the edges
const NAME_WIDTH = 240;

export class Grid {
	// options: {label, href(id), cell(cell, column, row), sortOf(name), onWindow, onSort, onOpen, onSelection}
	constructor(host, options) {
		this.options = options;
		this.columns = [];
		this.total = 0;
		this.rows = new Map(); // number of the row -> {id, name, state, values}
		this.pinned = [];
		this.selected = new Set();
		this.active = -1;
		this.drawn = new Map();
		this.scroller = element("div", "grid", { tabindex: 0, role: "grid", "aria-label": options.label, "aria-multiselectable": true });
		this.head = element("div", "grid-head", { role: "rowgroup" });
		this.body = element("div", "grid-body", { role: "rowgroup" });
		this.scroller.append(this.head, this.body);
		host.append(this.scroller);
		this.scroller.onscroll = () => this.queue();
		this.scroller.onkeydown = (event) => this.key(event);
		this.body.onclick = (event) => this.click(event);
		this.head.onclick = (event) => this.sort(event);
		this.resizing = new ResizeObserver(() => this.queue());
		this.resizing.observe(this.scroller);
	}

	close() {
		this.resizing.disconnect();
	}

	// columns: [{name, label, type, sort: "ascending" | "descending" | undefined, width}]
	setColumns(columns) {
		let left = NAME_WIDTH;
		this.columns = columns.map((column) => {
			const placed = { ...column, left };
			left += column.width;
			return placed;
		});
		this.width = left;
		this.shape = columns.map((c) => `${c.name}:${c.width}:${c.sort ?? ""}`).join("\n") + this.pinned.length;
		this.drawHead();
		this.redraw();
	}

	setRows(total, rows) {
		this.total = total;
		this.rows = rows;
		this.redraw();
	}

	addRows(rows) {
		for (const [number, row] of rows) this.rows.set(number, row);
		this.redraw();
	}

	get headHeight() {
		return ROW + 6 + this.pinned.length * ROW;
	}

	visible() {
		const top = this.scroller.scrollTop;
		const first = Math.max(0, Math.floor(top / ROW) - MORE);
		const height = Math.max(0, this.scroller.clientHeight - this.headHeight);
		return [first, Math.min(this.total, Math.ceil((top + height) / ROW) + MORE)];
	}

	get firstRow() {
		return Math.floor(this.scroller.scrollTop / ROW);
	}

	scrollToRow(number) {
		this.scroller.scrollTop = number * ROW;
	}

	visibleColumns() {
		const from = this.scroller.scrollLeft;
		const to = from + this.scroller.clientWidth;
		const inside = (c) => c.left + c.width > from + NAME_WIDTH - 200 && c.left < to + 200;
		return this.columns.filter(inside);
	}

	queue() {
		if (this.queued) return;
		this.queued = true;
		requestAnimationFrame(() => {
			this.queued = false;
			this.draw();
		});
	}

	redraw() {
		this.stale = true;
		this.queue();
	}

	draw() {
		const [first, end] = this.visible();
		const columns = this.visibleColumns();
		const key = `${columns[0]?.name}|${columns.at(-1)?.name}|${columns.length}`;
		if (key !== this.columnKey) {
			this.columnKey = key;
			this.stale = true;
			this.drawHead();
		}
		this.body.style.height = `${Math.max(this.total, 1) * ROW}px`;
		this.body.style.width = `${this.width}px`;
		this.scroller.setAttribute("aria-rowcount", this.total + 1);
		this.scroller.setAttribute("aria-colcount", this.columns.length + 1);
		for (const [number, row] of this.drawn) {
			if (number < first || number >= end || this.stale) {
				row.remove();
				this.drawn.delete(number);
			}
		}
		const fresh = document.createDocumentFragment();
		for (let number = first; number < end; number++) {
			if (this.drawn.has(number)) continue;
			const data = this.rows.get(number);
			const row = this.rowElement(data, columns, number);
			row.style.transform = `translateY(${number * ROW}px)`;
			fresh.append(row);
			this.drawn.set(number, row);
		}
		this.body.append(fresh);
		this.stale = false;
		this.options.onWindow(first, end);
	}

	rowElement(data, columns, number) {
		const row = element("div", "grid-row", { role: "row", "aria-rowindex": number + 2, "data-number": number });
		row.style.width = `${this.width}px`;
		if (!data) return row;
		row.id = `row-${number}`;
		const isSelected = this.selected.has(data.id);
		row.setAttribute("aria-selected", isSelected);
		if (number === this.active) row.classList.add("active");
		row.append(this.nameCell(data, isSelected));
		for (const column of columns) row.append(this.cell(column, data));
		return row;
	}

	nameCell(data, isSelected) {
		const cell = element("div", "grid-cell name", { role: "rowheader" });
		const box = element("input", "", { type: "checkbox", tabindex: -1, "aria-label": `select ${data.name}` });
		box.checked = isSelected;
		const dot = element("span", `dot state-${data.state}`, { title: data.state });
		const title = data.id === data.name ? data.id : `${data.name} (${data.id})`;
		const link = element("a", "both-ends", { href: this.options.href(data.id), "data-page": "", tabindex: -1, title });
		const [start, end] = bothEnds(data.name);
		link.append(element("span", "clip", {}, start), end);
		cell.append(box, dot, link);
		return cell;
	}

	cell(column, data) {
		const cell = placed(column, { role: "gridcell" });
		this.options.cell(cell, column, data);
		return cell;
	}

	drawHead() {
		const focused = this.head.contains(document.activeElement) && document.activeElement.dataset.name;
		this.head.replaceChildren();
		this.head.style.width = `${this.width}px`;
		const row = element("div", "grid-row grid-titles", { role: "row", "aria-rowindex": 1 });
		const name = element("div", "grid-cell name", { role: "columnheader" });
		name.append(this.title({ name: "name", label: "name", sort: this.options.sortOf("name") }));
		row.append(name);
		for (const column of this.visibleColumns()) row.append(this.headCell(column));
		this.head.append(row);
		for (const data of this.pinned) {
			const pinned = element("div", "grid-row pinned", { role: "row" });
			pinned.append(this.nameCell(data, this.selected.has(data.id)));
			for (const column of this.visibleColumns()) pinned.append(this.cell(column, data));
			this.head.append(pinned);
		}
		if (focused) [...this.head.querySelectorAll("button")].find((b) => b.dataset.name === focused)?.focus();
	}

	headCell(column) {
		const cell = placed(column, { role: "columnheader", "aria-sort": column.sort ?? "none" });
		cell.append(this.title(column));
		return cell;
	}

	title(column) {
		const title = `${column.name}: click to sort, shift+click to sort by it as well`;
		const button = element("button", "plain clip", { "data-name": column.name, title }, column.label);
		if (column.sort) button.append(element("span", "", {}, column.sort === "ascending" ? " ▲" : " ▼"));
		return button;
	}

	sort(event) {
		const button = event.target.closest("button[data-name]");
		if (button) this.options.onSort(button.dataset.name, event);
		const box = event.target.closest("input[type=checkbox]");
		if (box) this.toggle(this.pinned[[...this.head.querySelectorAll(".pinned")].indexOf(box.closest(".pinned"))]?.id);
	}

	click(event) {
		const row = event.target.closest(".grid-row");
		if (!row || event.target.closest("a")) return;
		const number = Number(row.dataset.number);
		const data = this.rows.get(number);
		if (!data) return;
		if (event.shiftKey && this.active >= 0) {
			event.preventDefault();
			const [from, to] = [Math.min(this.active, number), Math.max(this.active, number)];
			for (let n = from; n <= to; n++) if (this.rows.has(n)) this.selected.add(this.rows.get(n).id);
			this.options.onSelection(this.selected, [from, to]);
		} else if (event.target.closest("input[type=checkbox]") || event.ctrlKey || event.metaKey) {
			this.toggle(data.id);
		}
		this.activate(number, { keep: true });
	}

	toggle(id) {
		if (id === undefined) return;
		if (!this.selected.delete(id)) this.selected.add(id);
		this.options.onSelection(this.selected);
		this.redraw();
	}

	activate(number, { keep = false } = {}) {
		this.active = Math.max(0, Math.min(this.total - 1, number));
		if (!keep) {
			const top = this.active * ROW;
			const height = this.scroller.clientHeight - this.headHeight - 12;
			if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
			else if (top + ROW > this.scroller.scrollTop + height) this.scroller.scrollTop = top + ROW - height;
		}
		this.scroller.setAttribute("aria-activedescendant", `row-${this.active}`);
		this.redraw();
	}

	// Returns whether the key meant something.
	key(event) {
		if (event.target.closest("button") && event.key === "Enter") return false;
		const page = Math.max(1, Math.floor((this.scroller.clientHeight - this.headHeight) / ROW) - 1);
		const moves = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
		const data = this.rows.get(this.active);
		if (event.key in moves && this.total) {
			const to = this.active + moves[event.key];
			this.activate(to);
		} else if (event.key === "x" && data) this.toggle(data.id);
		else if (event.key === "Enter" && data) this.options.onOpen(data.id);
		else if (event.key === "Escape" && this.selected.size) {
			this.selected.clear();
			this.options.onSelection(this.selected);
			this.redraw();
		} else return false;
		event.preventDefault();
		event.stopPropagation();
		return true;
	}
}

function placed(column, attributes) {
	const cell = element("div", `grid-cell ${column.type}`, attributes);
	cell.style.left = `${column.left}px`;
	cell.style.width = `${column.width}px`;
	return cell;
}
