// Markdown as the server took it apart: elements are made one by one, texts are text nodes.

export function build(nodes) {
	const fragment = document.createDocumentFragment();
	for (const node of nodes) {
		if (typeof node === "string") {
			fragment.append(node);
			continue;
		}
		const element = document.createElement(node.tag);
		if (node.href) {
			element.href = node.href;
			element.target = "_blank";
			element.rel = "noopener noreferrer";
		}
		element.append(build(node.children));
		fragment.append(element);
	}
	return fragment;
}
