// uPlot, loaded when the first chart is drawn. The one place that knows which library draws lines.

import { element } from "./element.js";

let loading = null;

export function uplot() {
	loading ??= new Promise((resolve, reject) => {
		const script = element("script", "", { src: "/static/vendor/uPlot.iife.min.js" });
		script.onload = () => resolve(globalThis.uPlot);
		script.onerror = () => reject(new Error("the drawing library did not load"));
		document.head.append(script);
	});
	return loading;
}
