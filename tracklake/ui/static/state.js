// The state of a page is its address, and nothing else: back, reload and a colleague's browser show the same.

let listener = null;

export const state = { path: "", parts: [], params: new URLSearchParams() };

function read() {
	state.path = location.pathname;
	state.parts = location.pathname.split("/").slice(1).map(decoded);
	state.params = new URLSearchParams(location.search);
}

function decoded(text) {
	try {
		return decodeURIComponent(text);
	} catch {
		return text; // no address of ours
	}
}

function announce() {
	read();
	listener();
}

// From now on the act is called when the address changes.
export function start(act) {
	listener = act;
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
	const address = withParams(location.pathname, changed(state.params, changes));
	if (!silent) return go(address, { replace });
	history.replaceState(null, "", address);
	read();
}

export function changed(old, changes) {
	const params = new URLSearchParams(old);
	for (const [name, value] of Object.entries(changes)) {
		params.delete(name);
		if (!value && value !== 0) continue;
		for (const item of Array.isArray(value) ? value : [value]) params.append(name, item === true ? "1" : item);
	}
	return params;
}

export const SHARED = ["lake", "project", "where", "q", "run", "archived"];

// The address of another page about the same runs.
export function address(path, extra = {}) {
	return withParams(path, changed(chosen(), extra));
}

const withParams = (path, params) => path + (params.size ? `?${params}` : "");

// The address of a page about nothing but the lake.
export const inLake = (path, extra) => withParams(path, changed(chosen(["lake"]), extra));

export const runAddress = (id, extra = {}) => inLake(`/run/${encodeURIComponent(id)}`, extra);

// The parameters that choose runs, for a question to the server.
export function chosen(names = SHARED) {
	const params = new URLSearchParams();
	for (const name of names) for (const value of state.params.getAll(name)) params.append(name, value);
	return params;
}
