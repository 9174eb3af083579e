/** The tabs: the URL names the one that is shown, and its panel receives "shown" and "hidden". */

const tabs = () => /** @type {HTMLAnchorElement[]} */ ([...document.querySelectorAll("[role=tab]")]);

/** @param {HTMLElement} tab */
const panelOf = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

const WIDE = matchMedia("(min-width: 48rem)");

/** Show the tab named by the URL, now and when it changes. */
export function setUpTabs() {
  const list = document.querySelector("[role=tablist]");
  const turn = () => {
    list.setAttribute("aria-orientation", WIDE.matches ? "vertical" : "horizontal");
    list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest", inline: "center" });
  };
  WIDE.addEventListener("change", turn);
  turn();
  list.addEventListener("keydown", onKey);
  addEventListener("hashchange", showNamed);
  document.addEventListener("visibilitychange", () => {
    document.querySelector("[role=tabpanel]:not([hidden])")?.dispatchEvent(new Event(document.hidden ? "hidden" : "shown"));
  });
  showNamed();
}

function showNamed() {
  const all = tabs();
  const chosen = all.find((tab) => tab.hash === location.hash) ?? all[0];
  for (const tab of all) {
    const panel = panelOf(tab);
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    if (panel.hidden !== isChosen) continue;
    panel.hidden = !isChosen;
    panel.dispatchEvent(new Event(isChosen ? "shown" : "hidden"));
  }
  document.title = `${chosen.textContent} – Sensorium`;
  chosen.scrollIntoView({ block: "nearest", inline: "center" });
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  const all = tabs();
  const at = all.indexOf(/** @type {HTMLAnchorElement} */ (event.target));
  const to = {
    ArrowDown: at + 1,
    ArrowRight: at + 1,
    ArrowUp: at - 1,
    ArrowLeft: at - 1,
    Home: 0,
    End: all.length - 1,
  }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  const tab = all[(to + all.length) % all.length];
  history.replaceState(null, "", tab.hash); // moving along the tabs adds nothing to the history
  showNamed();
  tab.focus();
}
