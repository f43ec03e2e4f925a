// Everything works without this file. With it: pages follow the fleet without reloading, times tick, forms keep place.
"use strict";
(() => {
  const UNITS = [["d", 86400], ["h", 3600], ["min", 60]];
  const words = (s) => {
    for (const [unit, size] of UNITS) if (s >= 2 * size || (s >= size && s % size === 0)) return `${Math.floor(s / size)} ${unit}`;
    return `${s} s`;
  };
  const tick = () => {
    for (const el of document.querySelectorAll("time[data-ago]")) {
      const s = Math.round((Date.now() - Date.parse(el.dateTime)) / 1000);
      const text = Math.abs(s) < 2 ? "just now" : s < 0 ? `in ${words(-s)}` : `${words(s)} ago`;
      if (el.textContent !== text) el.textContent = text;
    }
  };

  // What a person has opened, typed or focused stays as it is.
  const keep = (old, fresh) => {
    for (const el of old.querySelectorAll("details[id]")) {
      const twin = fresh.querySelector(`#${CSS.escape(el.id)}`);
      if (twin) twin.open = el.open;
    }
  };
  const busy = (el) => el.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  const swap = (html) => {
    const next = new DOMParser().parseFromString(html, "text/html");
    for (const el of document.querySelectorAll("[data-live]")) {
      const fresh = next.getElementById(el.id);
      if (!fresh || busy(el)) continue;
      keep(el, fresh);
      if (fresh.innerHTML === el.innerHTML) continue;
      const focused = el.contains(document.activeElement) ? document.activeElement.id || document.activeElement.getAttribute("href") : null;
      el.replaceChildren(...document.adoptNode(fresh).childNodes);
      if (focused) (document.getElementById(focused) || el.querySelector(`[href="${CSS.escape(focused)}"]`))?.focus();
    }
    const said = next.querySelector("[data-say]")?.dataset.say;
    const voice = document.getElementById("voice");
    if (said && voice && voice.dataset.said !== said) { voice.dataset.said = said; voice.textContent = said; }
    tick();
  };
  let running = false, again = false;
  const refresh = async () => {
    if (running) { again = true; return; }
    running = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin", redirect: "manual" });
      if (answer.ok) swap(await answer.text());
      else if (answer.type === "opaqueredirect" || answer.status === 401) location.reload();
    } catch { /* the stream says when the backend is back; until then the page shows how old it is */ }
    // One look a second at most, however many hosts report.
    setTimeout(() => { running = false; if (again) { again = false; refresh(); } }, 1000);
  };

  const live = document.getElementById("live");
  let stream = null;
  const show = (on) => { live.dataset.state = on ? "on" : "off"; live.textContent = on ? "Live" : "Reconnecting"; };
  const follow = () => {
    if (stream) stream.close();
    stream = new EventSource("/v1/stream");
    // What happened between the page and the stream, or while the stream was away, is looked up at once.
    stream.onopen = () => { show(true); refresh(); };
    stream.onerror = () => { show(false); if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 5000); };
    stream.addEventListener("change", (event) => {
      // A page about one host looks again when that host changed, or everything may have.
      const mine = document.getElementById("main").dataset.follow;
      if (!mine || JSON.parse(event.data).some((what) => what === mine || !what.startsWith("host/"))) refresh();
    });
  };
  if (document.querySelector("[data-live]") && live) {
    live.hidden = false;
    follow();
    // Browsers allow six connections to one server: a page that nobody looks at gives its own back.
    document.addEventListener("visibilitychange", () => { if (document.hidden) stream.close(); else follow(); });
    addEventListener("pagehide", () => stream.close());
    addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
    setInterval(() => { if (!document.hidden) refresh(); }, 30000); // silence is news too: hosts turn stale by it
  }
  setInterval(tick, 5000);

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.lastChild.textContent = " Copied";
  });
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const el of document.querySelectorAll("details.popover[open]")) { el.open = false; el.querySelector("summary").focus(); }
    if (event.key === "/" && !event.target.closest("input, select, textarea")) {
      const box = document.querySelector("input[type=search]");
      if (box) { event.preventDefault(); box.focus(); }
    }
  });
})();
