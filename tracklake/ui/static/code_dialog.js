// "Copy this view": the code that gives the very same rows.

import { html } from "./vendor/lit-html.js";
import { ask } from "./api.js";
import { openDialog } from "./keys.js";

export async function showCode(params) {
  const code = await ask("code", params).catch((error) => ({ error: error.message }));
  let copied = "";
  openDialog("This view as code", (dialog) => {
    if (code.error) return html`<p class="bad">${code.error}</p>`;
    const copy = async (name) => {
      await navigator.clipboard.writeText(code[name]);
      copied = name;
      dialog.redraw();
    };
    return ["python", "sql", "shell"].map((name) => html`<section class="code">
        <h3>${{ python: "Python", sql: "SQL (lake.sql)", shell: "Shell" }[name]} <button @click=${() => copy(name)}>${copied === name ? "copied" : "copy"}</button></h3>
        <pre tabindex="0">${code[name]}</pre>
      </section>`);
  });
}
