// Values as a person reads them. Everything returned is a string that is shown as a text node.

export function number(value) {
	if (value === null || value === undefined) return "";
	if (typeof value === "string") return value; // not finite, or too large for JavaScript
	if (Number.isNaN(value)) return "NaN";
	if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
	const size = Math.abs(value);
	if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
	return String(Number(value.toPrecision(5)));
}

export function signed(value) {
	return value > 0 ? `+${number(value)}` : value < 0 ? `−${number(-value)}` : "±0";
}

export function time(ms) {
	if (ms === null || ms === undefined) return "";
	const date = new Date(ms);
	const two = (n) => String(n).padStart(2, "0");
	return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

export function duration(seconds) {
	if (seconds === null || seconds === undefined) return "";
	if (typeof seconds === "string") return seconds;
	if (seconds < 120) return `${number(Number(seconds.toPrecision(3)))} s`;
	if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
	if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
	return `${(seconds / 86400).toFixed(1)} d`;
}

export function ago(ms) {
	const seconds = (Date.now() - ms) / 1000;
	return seconds < 60 ? "just now" : `${duration(seconds)} ago`;
}

export function value(given, type) {
	if (given === null || given === undefined) return "";
	if (type === "time") return time(given);
	if (typeof given === "number") return number(given);
	if (type === "list") return given.join(", ");
	return typeof given === "object" ? JSON.stringify(given) : String(given);
}

export function exact(given, type) {
	if (given === null || given === undefined) return "no value";
	return type === "time" ? new Date(given).toISOString() : type === "list" ? given.join(", ") : String(given);
}

export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

// What is too long loses its middle: names differ at their ends.
export const middle = (text, most) => (text.length > most ? `${text.slice(0, Math.ceil(most / 2))}…${text.slice(-Math.floor(most / 2) + 1)}` : text);

// "config.optimizer.lr" is shown as "optimizer.lr", "summary.val/acc.max" as "val/acc.max".
export const label = (column) => column.replace(/^(config|summary)\./, "");

// A run has the colour and dash of its place, groups those that the server names: they are the same in every picture.
// The colours are those of lake.plot (Okabe and Ito), which differ to a colour-blind eye; dashes tell them in grey.
const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
const PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333"];
const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
export const dash = (index) => DASHES[index % DASHES.length];

export const color = (index, colors = PALETTE) => visible(colors[index % colors.length] ?? PALETTE[0]);

export const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// What is dark on paper is lighter in the dark, of the same hue.
function visible(hex) {
	const parts = rgb(hex);
	if (!isDark || parts[0] + parts[1] + parts[2] > 240) return hex;
	return `#${parts.map((part) => Math.round((part + 255) / 2).toString(16).padStart(2, "0")).join("")}`;
}
