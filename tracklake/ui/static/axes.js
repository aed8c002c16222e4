// Scales of drawn pages: where a value lies, and which labels an axis has.

import { element } from "./element.js";
import * as format from "./format.js";

export class Scale {
	// few: whether the values themselves are the labels where there are few.
	constructor(values, { log = false, words = null, type = "number", from, to, room = 0.04, few = false }) {
		Object.assign(this, { words, type, from, to });
		const [low, high, least] = extent(values);
		this.log = log && !words && high > 0;
		let ends = low > high ? [0, 1] : [low, high];
		if (this.log) ends = (room ? roundEnds(least, high) : [least, high]).map(Math.log10);
		const isShare = !this.log && !words && ends[0] >= 0 && ends[1] <= 1 && ends[1] > 0.5;
		const more = words ? 0.5 : (ends[1] - ends[0] || Math.abs(ends[1]) || 1) * room;
		this.low = ends[0] - more;
		this.high = isShare ? Math.min(1, ends[1] + more) : ends[1] + more;
		if (few && !words && type === "number") this.labels = distinct(values, 8);
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
		if (this.labels?.length <= most) return this.labels.map((value) => [value, format.number(value)]);
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
		return logTicks(10 ** this.low, 10 ** this.high, most).map((value) => [value, format.number(value)]);
	}
}

// The smallest and largest finite value, and the smallest above 0.
function extent(values) {
	let [low, high, least] = [Infinity, -Infinity, Infinity];
	for (const value of values) {
		if (!Number.isFinite(value)) continue;
		if (value < low) low = value;
		if (value > high) high = value;
		if (value > 0 && value < least) least = value;
	}
	return [low, high, least];
}

function distinct(values, most) {
	const found = new Set();
	for (const value of values) {
		if (Number.isFinite(value)) found.add(value);
		if (found.size > most) return null;
	}
	return 2 * found.size <= values.length ? [...found].sort((a, b) => a - b) : null;
}

const STEPS = [1, 2, 5, 10];

// The ends of a log axis: round values at or beyond, so that both have a label.
export function roundEnds(low, high) {
	const unit = (value) => 10 ** Math.floor(Math.log10(value) + 1e-9);
	const down = (value) => STEPS.findLast((step) => step * unit(value) <= value * (1 + 1e-9)) * unit(value);
	const up = (value) => STEPS.find((step) => step * unit(value) >= value * (1 - 1e-9)) * unit(value);
	const ends = [down(low), up(high)];
	return ends[0] < ends[1] ? ends : [ends[0] / 2, ends[1] * 2];
}

export function logTicks(low, high, most) {
	const [first, last] = [Math.floor(Math.log10(low) + 1e-9), Math.ceil(Math.log10(high) - 1e-9)];
	const inside = (values) => values.map((value) => Number(value.toPrecision(3))).filter((value) => value >= low * 0.999 && value <= high * 1.001);
	const powers = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
	const all = inside(powers.flatMap((power) => [1, 2, 5].map((step) => step * power)));
	if (all.length <= most) return all;
	const every = Math.max(1, Math.ceil(powers.length / most));
	return [...new Set([all[0], ...inside(powers.filter((_, i) => i % every === 0)), all.at(-1)])];
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
	return Object.fromEntries(["front", "quiet", "line", "accent", "back"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

// Viridis, from low to high, as [r, g, b].
const RAMP = ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30"].map((hex) => format.rgb(`#${hex}`));

const START = matchMedia("(prefers-color-scheme: dark)").matches ? 0.22 : 0; // its darkest end cannot be seen in the dark

export function ramp(share) {
	const at = (START + (1 - START) * Math.max(0, Math.min(0.9999, share))) * (RAMP.length - 1);
	const i = Math.floor(at);
	return RAMP[i].map((c, k) => Math.round(c + (RAMP[i + 1][k] - c) * (at - i)));
}

export function canvasOf(host, width, height, attributes = {}) {
	const ratio = Math.min(2, devicePixelRatio || 1);
	const canvas = element("canvas", "plot", { width: Math.round(width * ratio), height: Math.round(height * ratio), ...attributes });
	canvas.style.width = `${width}px`;
	canvas.style.height = `${height}px`;
	host.append(canvas);
	const context = canvas.getContext("2d");
	context.scale(ratio, ratio);
	context.font = "11px system-ui, sans-serif";
	return { canvas, context, ratio };
}
