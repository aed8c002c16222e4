// Keys: one list, which the help shows and which is all that there is.

import { html, render } from "./vendor/lit-html.js";
import { element } from "./element.js";

const KEYS = [
	["/", "search the runs (or what the page is about)"],
	["j, ↓ and k, ↑", "next and previous row"],
	["PageDown, PageUp, Home, End", "move through the table"],
	["x", "select the row; shift+click selects a range"],
	["Enter", "open the run of the row"],
	["Escape", "close what is open, or clear the selection"],
	["?", "this list"],
];

export const showHelp = () => openDialog("Keys", () => html`<dl class="keys">${KEYS.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>`);

const isTyping = (target) => target.closest?.("input, textarea, select, [contenteditable]");

export function start({ page }) {
	document.addEventListener("keydown", (event) => {
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		if (isTyping(event.target)) {
			if (event.key === "Escape") event.target.blur();
			return;
		}
		if (event.key === "/") {
			const field = document.querySelector("[data-search]");
			if (!field) return;
			event.preventDefault();
			field.focus();
			field.select();
		} else if (document.querySelector("dialog[open]")) return;
		else if (event.key === "?") showHelp();
		else page()?.key_?.(event);
	});
}

// Open a dialog with some content; returns it. It closes with Escape, and is gone then.
export function openDialog(title, content) {
	const dialog = document.body.appendChild(element("dialog", "", { "aria-label": title }));
	dialog.addEventListener("close", () => dialog.remove());
	render(
		html`<div class="dialog-head"><h2>${title}</h2><button class="plain" aria-label="Close" @click=${() => dialog.close()}>×</button></div>`,
		dialog,
	);
	const body = dialog.appendChild(element("div"));
	dialog.redraw = () => render(content(dialog), body);
	dialog.redraw();
	dialog.showModal();
	return dialog;
}

// A dialog that asks: save(values, pressed button) closes it; an error stands above what was entered.
export function openForm(title, content, save) {
	let error = "";
	openDialog(title, (dialog) => html`<form @submit=${async (event) => {
			event.preventDefault();
			try {
				await save(Object.fromEntries(new FormData(event.target)), event.submitter);
				dialog.close();
			} catch (caught) {
				error = caught.message;
				dialog.redraw();
			}
		}}>${error ? html`<p class="bad">${error}</p>` : ""}${content}</form>`);
}
