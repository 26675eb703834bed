/* Every control of an item calls the method in its attribute data-call. Errors appear in the last line of the page. */

import { call } from "sealed_state";

const items = document.querySelector("ul");
const search = document.querySelector("#search input");
const status = document.querySelector("[role=status]");

const controls = {
  async mark(box) {
    const done = box.checked;
    box.checked = !done; // until the server confirms the change
    box.checked = await call(box, "mark", done);
  },
  async rename(input) {
    input.value = await call(input, "rename", input.value);
  },
  async delete(button) {
    await call(button, "delete");
    button.closest("li").remove();
  },
};

async function find() {
  const found = new Set(await call(search, "search", search.value));
  for (const item of items.children) {
    item.hidden = !found.has(Number(item.dataset.pk));
  }
}

async function attempt(action) {
  status.textContent = "";
  try {
    await action();
  } catch (error) {
    if (error.code !== "StaleState") { // the event sealedsession:stale reports this error
      status.textContent = `${error.code}: ${error.message}`;
    }
  }
}

items.addEventListener("change", ({ target }) => attempt(() => controls[target.dataset.call](target)));
items.addEventListener("click", ({ target }) => {
  if (target.matches("button")) {
    attempt(() => controls[target.dataset.call](target));
  }
});
search.addEventListener("input", () => attempt(find));
document.addEventListener("sealedsession:stale", (event) => {
  status.textContent = event.detail.message; // by default, the element is then removed
});
