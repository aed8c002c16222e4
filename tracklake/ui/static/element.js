// An element of the document, made by hand where there are too many for templates.

export function element(tag, className = "", attributes = {}, text = "") {
	const made = Object.assign(document.createElement(tag), { className, textContent: text });
	for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
	return made;
}
