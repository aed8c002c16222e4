// The state of a page is its address, and nothing else: back, reload and a colleague's browser show the same.

const listeners = new Set();

export const state = { path: "", parts: [], params: new URLSearchParams() };

function read() {
	state.path = location.pathname;
	state.parts = location.pathname.split("/").slice(1).map(decodeURIComponent);
	state.params = new URLSearchParams(location.search);
}

function announce() {
	read();
	for (const listener of listeners) listener();
}

export function onAddress(listener) {
	listeners.add(listener);
}

export function start() {
	addEventListener("popstate", announce);
	document.addEventListener("click", (event) => {
		const link = event.target.closest?.("a[data-page]");
		if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
		event.preventDefault();
		go(link.getAttribute("href"));
	});
	announce();
}

export function go(address, { replace = false } = {}) {
	if (replace) history.replaceState(null, "", address);
	else if (address !== location.pathname + location.search) history.pushState(null, "", address);
	announce();
}

// Set parameters of this address: a value, a list of values, or null to leave one out.
export function set(changes, { replace = false, silent = false } = {}) {
	const params = changed(state.params, changes);
	const address = location.pathname + (params.size ? `?${params}` : "");
	if (!silent) return go(address, { replace });
	history.replaceState(null, "", address);
	read();
}

export function changed(old, changes) {
	const params = new URLSearchParams(old);
	for (const [name, value] of Object.entries(changes)) {
		params.delete(name);
		if (value === null || value === undefined || value === "" || value === false) continue;
		for (const item of Array.isArray(value) ? value : [value]) params.append(name, item === true ? "1" : item);
	}
	return params;
}

export const SHARED = ["lake", "project", "where", "q", "run", "archived"];

// The address of another page about the same runs.
export function address(path, extra = {}) {
	const params = new URLSearchParams();
	for (const name of SHARED) for (const value of state.params.getAll(name)) params.append(name, value);
	const all = changed(params, extra);
	return path + (all.size ? `?${all}` : "");
}

export const runAddress = (id) => {
	const lake = state.params.get("lake");
	return `/run/${encodeURIComponent(id)}${lake ? `?lake=${encodeURIComponent(lake)}` : ""}`;
};

// The parameters that choose runs, for a question to the server.
export function chosen(names = SHARED) {
	const params = new URLSearchParams();
	for (const name of names) for (const value of state.params.getAll(name)) params.append(name, value);
	return params;
}
