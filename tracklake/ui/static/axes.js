// Scales of drawn pages: where a value lies, and which labels an axis has.

import * as format from "./format.js";

export class Scale {
	constructor(values, { log = false, words = null, type = "number", from, to }) {
		this.words = words;
		this.type = type;
		this.from = from;
		this.to = to;
		let low = Infinity;
		let high = -Infinity;
		let positive = Infinity;
		for (const value of values) {
			if (!Number.isFinite(value)) continue;
			if (value < low) low = value;
			if (value > high) high = value;
			if (value > 0 && value < positive) positive = value;
		}
		this.log = log && !words && high > 0;
		if (low > high) [low, high] = [0, 1];
		if (this.log) [low, high] = [Math.log10(Math.max(low, Number.isFinite(positive) ? positive : 1)), Math.log10(high)];
		const isShare = !this.log && !words && low >= 0 && high <= 1 && high > 0.5;
		const room = words ? 0.5 : (high - low || Math.abs(high) || 1) * 0.04;
		this.low = low - room;
		this.high = isShare ? Math.min(1, high + room) : high + room;
	}

	at(value) {
		const v = this.log ? (value > 0 ? Math.log10(value) : NaN) : value;
		return this.from + ((v - this.low) / (this.high - this.low)) * (this.to - this.from);
	}

	value(pixel) {
		const v = this.low + ((pixel - this.from) / (this.to - this.from)) * (this.high - this.low);
		return this.log ? 10 ** v : v;
	}

	// The labels: [value, text]; both ends of a log axis have one.
	ticks(most) {
		if (this.words) {
			const every = Math.ceil(this.words.length / most);
			return this.words.map((word, i) => [i, word]).filter(([i]) => i % every === 0);
		}
		if (this.log) return this.logTicks(most);
		const span = this.high - this.low;
		const raw = span / most;
		const unit = 10 ** Math.floor(Math.log10(raw));
		const step = [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= raw);
		const ticks = [];
		for (let v = Math.ceil(this.low / step) * step; v <= this.high + step * 1e-9; v += step) {
			ticks.push([v, this.type === "time" ? format.time(v * 1000).slice(5) : format.number(Number(v.toPrecision(10)))]);
		}
		return ticks;
	}

	logTicks(most) {
		const ticks = [];
		const [first, last] = [Math.floor(this.low), Math.ceil(this.high)];
		const decades = this.high - this.low;
		const steps = decades < 1.2 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades < 2.5 ? [1, 2, 5] : decades < 4.5 ? [1, 3] : [1];
		const every = Math.max(1, Math.ceil((last - first) / most));
		for (let power = first; power <= last; power += every) {
			for (const step of steps) {
				const value = step * 10 ** power;
				if (Math.log10(value) >= this.low && Math.log10(value) <= this.high) ticks.push([value, format.number(Number(value.toPrecision(3)))]);
			}
		}
		if (ticks.length < 2) {
			const ends = [10 ** this.low, 10 ** this.high].map((v) => Number(v.toPrecision(3)));
			return ends.map((v) => [v, format.number(v)]);
		}
		return ticks;
	}
}

// A value as a condition has it: six digits of a number, seconds of a time, so that what is counted is what SQL selects.
export function rounded(value, { words, type }) {
	return words ? Number(value.toFixed(2)) : type === "time" ? Math.round(value) : Number(value.toPrecision(6));
}

// The condition that a column's value lies between two, as SQL.
export function conditionOf({ name, words, type }, [low, high]) {
	const quoted = `"${name.replaceAll('"', '""')}"`;
	if (words) {
		const inside = words.filter((_, i) => i >= low && i <= high);
		if (type === "flag") return `${quoted} IN (${inside.join(", ") || "NULL"})`;
		return inside.length ? `${quoted} IN (${inside.map((w) => `'${w.replaceAll("'", "''")}'`).join(", ")})` : "false";
	}
	if (type !== "time") return `${quoted} BETWEEN ${low} AND ${high}`;
	const iso = (s) => `CAST('${new Date(s * 1000).toISOString().slice(0, 19)}' AS TIMESTAMP)`;
	return `${quoted} BETWEEN ${iso(low)} AND ${iso(high)}`;
}

export function inkOf() {
	const style = getComputedStyle(document.documentElement);
	return { front: style.getPropertyValue("--front").trim(), quiet: style.getPropertyValue("--quiet").trim(), line: style.getPropertyValue("--line").trim(), accent: style.getPropertyValue("--accent").trim(), back: style.getPropertyValue("--back").trim() };
}

// Viridis, from low to high, as [r, g, b].
const RAMP = ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30"].map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));

const START = matchMedia("(prefers-color-scheme: dark)").matches ? 0.22 : 0; // its darkest end cannot be seen in the dark

export function ramp(share) {
	const at = (START + (1 - START) * Math.max(0, Math.min(0.9999, share))) * (RAMP.length - 1);
	const i = Math.floor(at);
	return RAMP[i].map((c, k) => Math.round(c + (RAMP[i + 1][k] - c) * (at - i)));
}

export const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

export function canvasOf(host, width, height) {
	const canvas = document.createElement("canvas");
	canvas.className = "plot";
	const ratio = Math.min(2, devicePixelRatio || 1);
	canvas.width = Math.round(width * ratio);
	canvas.height = Math.round(height * ratio);
	canvas.style.width = `${width}px`;
	canvas.style.height = `${height}px`;
	host.append(canvas);
	const context = canvas.getContext("2d");
	context.scale(ratio, ratio);
	context.font = "11px system-ui, sans-serif";
	return { canvas, context, ratio };
}
