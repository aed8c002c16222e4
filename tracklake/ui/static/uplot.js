// uPlot, loaded when the first chart is drawn. The one place that knows which library draws lines.

let loading = null;

export function uplot() {
	loading ??= new Promise((resolve, reject) => {
		const script = document.createElement("script");
		script.src = "/static/vendor/uPlot.iife.min.js";
		script.addEventListener("load", () => resolve(globalThis.uPlot));
		script.addEventListener("error", () => reject(new Error("the drawing library did not load")));
		document.head.append(script);
	});
	return loading;
}
