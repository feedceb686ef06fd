// Once a second: fetch this page, put its <main> in place of ours, keep what the person typed, opened and focused.
(() => {
  let last = null;
  const fields = (root) => [...root.querySelectorAll("textarea[id], input[type=text][id]")];
  // A folded part is known by where it is and what it is called; the numbers in its name (cost, counts) change.
  const part = (d) => d.parentElement.closest("[id]")?.id + d.querySelector("summary")?.textContent.replace(/[\d.]+/g, "");
  async function refresh() {
    const answer = await fetch(location.pathname, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("main");
    const old = document.querySelector("main");
    if (!fresh || !old) return;
    const text = fresh.innerHTML;
    if (last === null) last = old.innerHTML;
    if (text === last) return;
    last = text;
    const typed = new Map(fields(old).map((field) => [field.id, field.value]));
    const opened = new Set([...old.querySelectorAll("details[open]")].map(part));
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const range = focused && "selectionStart" in focused ? [focused.selectionStart, focused.selectionEnd] : null;
    for (const field of fields(fresh)) if (typed.has(field.id)) field.value = typed.get(field.id);
    for (const d of fresh.querySelectorAll("details")) if (opened.has(part(d))) d.open = true;
    old.replaceChildren(...fresh.childNodes);
    const again = focused?.id ? document.getElementById(focused.id) : null;
    if (again) {
      again.focus({ preventScroll: true });
      if (range && again.setSelectionRange) again.setSelectionRange(...range);
    }
  }
  // A failed fetch is a restarting server: the next second tries again.
  setInterval(() => { refresh().catch(() => {}); }, 1000);
})();
