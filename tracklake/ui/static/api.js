// Questions to the server. What is wrong comes back as an Error whose message is fit to be shown.

import { changed, state } from "./state.js";

async function answered(response) {
	if (response.ok) return response;
	const text = await response.text();
	let message = text;
	try {
		message = JSON.parse(text).error;
	} catch {
		message = text || `the server answered ${response.status}`;
	}
	const error = new Error(message);
	error.status = response.status;
	throw error;
}

// What is pressed stays under the pointer: answers that come meanwhile wait until it is let go.
let pressed = null;
let letGo = null;
let timer = 0;

addEventListener("pointerdown", ({ target }) => {
	clearTimeout(timer);
	if (target.closest?.("canvas, .u-over, .grid-cell, a, button, input")) pressed ??= new Promise((resolve) => (letGo = resolve));
});
for (const name of ["pointerup", "pointercancel", "blur"]) {
	addEventListener(name, () => {
		timer = setTimeout(() => {
			pressed = null;
			letGo?.();
		});
	});
}

async function request(address, read, options = {}) {
	try {
		return await read(await answered(await fetch(address, options)));
	} catch (error) {
		if (error instanceof TypeError) throw new Error("the server does not answer: is `tracklake ui` still running?");
		throw error;
	} finally {
		await pressed;
		options.signal?.throwIfAborted();
	}
}

export function query(name, params) {
	const all = params instanceof URLSearchParams ? new URLSearchParams(params) : changed([], params ?? {});
	const lake = state.params.get("lake");
	if (lake && !all.has("lake")) all.set("lake", lake);
	return `/api/${name}${all.size ? `?${all}` : ""}`;
}

export async function ask(name, params, { signal } = {}) {
	return request(query(name, params), (response) => response.json(), { signal });
}

// Blocks of numbers: {header, arrays}; see replies.blocks on the server.
export async function askBlocks(name, params, { signal } = {}) {
	const buffer = await request(query(name, params), (response) => response.arrayBuffer(), { signal });
	const view = new DataView(buffer);
	const length = view.getUint32(0, true);
	const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
	const kinds = { f8: Float64Array, f4: Float32Array };
	let at = Math.ceil((4 + length) / 8) * 8;
	const arrays = header.arrays.map(([kind, n]) => {
		const array = new kinds[kind](buffer, at, n);
		at += Math.ceil((n * array.BYTES_PER_ELEMENT) / 8) * 8;
		return array;
	});
	return { header, arrays };
}

export async function change(name, body) {
	const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
	return request(query(name, {}), (response) => response.json(), options);
}
