// An element of the document, made by hand where there are too many for templates.

// A name in two parts, of which the first is cut where there is no room.
export function bothEnds(name) {
	const letters = [...name];
	return letters.length < 25 ? [name, ""] : [letters.slice(0, -12).join(""), letters.slice(-12).join("")];
}

export function element(tag, className = "", attributes = {}, text = "") {
	const made = Object.assign(document.createElement(tag), { className, textContent: text });
	for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
	return made;
}

// Markdown as the server took it apart: texts are text nodes.
export function build(nodes) {
	const fragment = document.createDocumentFragment();
	for (const node of nodes) {
		if (typeof node === "string") {
			fragment.append(node);
			continue;
		}
		const made = element(node.tag, "", node.href ? { href: node.href, target: "_blank", rel: "noopener noreferrer" } : {});
		made.append(build(node.children));
		fragment.append(made);
	}
	return fragment;
}
