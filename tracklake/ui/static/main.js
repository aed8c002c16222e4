// The frame of every page: which page the address names, the bar, live updates, keys, what went wrong.

import { html, render } from "./vendor/lit-html.js";
import { ask } from "./api.js";
import { element } from "./element.js";
import { count } from "./format.js";
import * as keys from "./keys.js";
import { address, go, set, start, state } from "./state.js";

const PAGES = {
	runs: ["Runs", () => import("./runs_page.js")],
	charts: ["Charts", () => import("./charts_page.js")],
	scatter: ["Scatter", () => import("./scatter_page.js")],
	parallel: ["Parallel", () => import("./parallel_page.js")],
	compare: ["Compare", () => import("./compare_page.js")],
	sweep: ["Sweep", () => import("./sweep_page.js")],
	reports: ["Reports", () => import("./reports_page.js")],
	queries: ["Queries", () => import("./queries_page.js")],
	run: ["Run", () => import("./run_page.js")],
};

const bar = element("header");
const main = element("main");
const notice = element("div", "notice", { role: "alert" });
document.body.append(bar, notice, main);

let lakes = { lakes: [] };
let schema = null;
let page = null;
let pageKey = "";
let shownName = "";
let version = "";
let trouble = "";
let opened = 0;

const context = {
	problem(error) {
		if (error?.name === "AbortError") return;
		trouble = error ? error.message : "";
		draw();
	},
	get schema() {
		return schema;
	},
	get lake() {
		return lakes.lakes.find((lake) => lake.name === (state.params.get("lake") ?? lakes.lakes[0]?.name)) ?? {};
	},
	get readOnly() {
		return this.lake.read_only ?? false;
	},
	// Whether views and reports can be kept: in the folder of one lake on a disk.
	get keeps() {
		return !this.readOnly && this.lake.keeps;
	},
	async refresh() {
		await poll(true);
	},
};

function draw() {
	const names = Object.entries(PAGES).filter(([name]) => name !== "run");
	const several = lakes.lakes.length > 1;
	render(
		html`<a class="brand" data-page href=${address("/runs", { run: null, where: null, q: null, project: null })} title="All runs"><img src="/static/icon.svg" alt="" />tracklake</a>
			${several
				? html`<select aria-label="Lake" @change=${(e) => go(`/runs?lake=${encodeURIComponent(e.target.value)}`)}>
						${lakes.lakes.map((lake) => html`<option ?selected=${lake.name === state.params.get("lake")}>${lake.name}</option>`)}
					</select>`
				: ""}
			<select aria-label="Project" @change=${(e) => set({ project: e.target.value || null, top: null })}>
				<option value="">all projects</option>
				${(schema?.projects ?? []).map((project) => html`<option value=${project} ?selected=${project === state.params.get("project")}>${project}</option>`)}
			</select>
			<nav aria-label="Pages">
				${names.map(([name, [title]]) => html`<a data-page href=${address(`/${name}`)} aria-current=${name === shownName ? "page" : "false"}>${title}</a>`)}
			</nav>
			<span class="grow"></span>
			${context.readOnly ? html`<span class="badge" title="This process may not write the lake: nothing can be edited.">read-only</span>` : ""}
			${schema?.lost[0] ? html`<span class="badge" title=${schema.lost}>incomplete</span>` : ""}
			<span class="quiet" title=${context.lake.dir ?? ""}>${schema ? count(schema.runs, "run") : ""}</span>
			<button class="plain" title="Keys (?)" aria-label="Keys" @click=${keys.showHelp}>?</button>`,
		bar,
	);
	render(trouble ? html`<p>${trouble}</p><button class="plain" aria-label="Dismiss" @click=${() => context.problem(null)}>×</button>` : "", notice);
}

async function show() {
	const name = state.parts[0] || "runs";
	const mine = ++opened;
	if (!PAGES[name]) {
		main.replaceChildren();
		shownName = "";
		return context.problem(new Error(`there is no page ${state.path}; there are ${Object.keys(PAGES).join(", ")}`));
	}
	trouble = "";
	const key = name === "run" ? state.path : name;
	if (page && key === pageKey) {
		draw();
		return page.update();
	}
	page?.close?.();
	page = null;
	shownName = name;
	draw();
	const module = await PAGES[name][1]();
	if (mine !== opened) return;
	main.replaceChildren();
	main.className = `page-${name}`;
	document.title = name === "run" ? `${state.parts[1]} · tracklake` : `${PAGES[name][0]} · tracklake`;
	page = module.open(main, context);
	pageKey = key;
	page.update();
}

async function readSchema() {
	try {
		schema = await ask("schema");
		draw();
	} catch (error) {
		context.problem(error);
	}
}

// One question a second while the page can be seen, none while it is hidden.
async function poll(now = false) {
	if (document.hidden && !now) return;
	try {
		const answer = await ask("changes", { since: version });
		if (poll.failed) context.problem(null);
		poll.failed = false;
		if (!answer.changed) return;
		const first = !version;
		version = answer.version;
		if (!first || now) {
			page?.changed?.();
			await readSchema();
		}
	} catch (error) {
		poll.failed = true;
		if (error.status === 403) error.message = "the server was started anew: open its new link";
		context.problem(error);
	}
}

function pollForEver() {
	poll().finally(() => setTimeout(pollForEver, poll.failed ? 5000 : 1000));
}

let lakeName = null;
const arrive = () => {
	const lake = state.params.get("lake");
	if (lake !== lakeName) {
		lakeName = lake;
		version = "";
		schema = null;
		readSchema().then(() => page?.update());
	}
	show().catch((error) => context.problem(error));
};

keys.start({ context, page: () => page });
lakes = await ask("lakes").catch((error) => {
	context.problem(error);
	return { lakes: [] };
});
start(arrive);
readSchema().then(() => page?.update());
pollForEver();
document.addEventListener("visibilitychange", () => document.hidden || poll());
