// What the pages do beyond links and forms. Everything here may fail or be missing: searching in
// words, opening items and playing them works without.

const BUSY_AFTER_MS = 300;
const SLOW_AFTER_MS = 8000;
const MIN_RETRY_MS = 2000;

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Waiting for an answer ---------------------------------------------------------------------------

let waiting = [];

function showBusy() {
  endBusy();
  const slow = one("[data-slow]");
  waiting = [
    setTimeout(() => {
      one("[data-progress]").hidden = false;
      slow.textContent = "Searching…";
      slow.hidden = false;
    }, BUSY_AFTER_MS),
    setTimeout(() => {
      slow.textContent = "This takes longer than usual.";
      const again = document.createElement("button");
      again.type = "button";
      again.textContent = "Try again";
      again.addEventListener("click", () => repeat());
      slow.append(again);
    }, SLOW_AFTER_MS),
  ];
}

function endBusy() {
  waiting.forEach(clearTimeout);
  one("[data-progress]").hidden = true;
  one("[data-slow]").hidden = true;
}

let repeat = () => location.reload();

// A page that comes back from the history shows no search that is long over.
addEventListener("pageshow", endBusy);

// Searching in words ------------------------------------------------------------------------------

const ask = one("[data-ask]");

// Empty inputs would only make the address long.
function leaveOutEmpty(form) {
  for (const input of all("input, select", form)) {
    if (input.name && input.value === "") input.disabled = true;
  }
  setTimeout(() => all(":disabled", form).forEach((input) => { input.disabled = false; }));
}

function submitAsk() {
  repeat = () => submitAsk();
  leaveOutEmpty(ask);
  showBusy();
  ask.submit();
}

ask?.addEventListener("submit", (event) => {
  event.preventDefault();
  submitAsk();
});

for (const box of all(".media input")) {
  box.addEventListener("change", () => {
    if (one("#q").value.trim() || one("input[name=item], input[name=file]", ask)) submitAsk();
    rememberFilters();
  });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/?'], a[data-repeat]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey) return;
  const stays = link.getAttribute("href");
  repeat = () => location.assign(stays || location.href);
  if (!stays || link.href === location.href) {
    event.preventDefault();
    location.reload();
  }
  showBusy();
});

// Searching with a file ---------------------------------------------------------------------------

const send = one("[data-send]");

// A file that is sent now is searched with the media that are ticked now.
function rememberFilters() {
  if (!send || !ask) return;
  const kept = new URLSearchParams();
  for (const [name, value] of new FormData(ask)) {
    if (value && (name === "medium" || name.startsWith("a."))) kept.append(name, value);
  }
  send.elements.filters.value = kept.toString();
}

function sendFile(files) {
  const trouble = one("[data-send-trouble]");
  const maxBytes = Number(send.dataset.maxBytes);
  if (files.length !== 1) return;
  if (files[0].size > maxBytes) {
    trouble.textContent = `${files[0].name} has ${megabytes(files[0].size)}; at most ${megabytes(maxBytes)} are taken.`;
    trouble.hidden = false;
    send.elements.file.value = "";
    return;
  }
  trouble.hidden = true;
  rememberFilters();
  if (send.elements.file.files !== files) send.elements.file.files = files;
  repeat = () => send.submit();
  showBusy();
  send.submit();
}

const megabytes = (bytes) => `${(bytes / 1e6).toLocaleString(undefined, { maximumFractionDigits: 1 })} MB`;
const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

if (send) {
  send.elements.file.addEventListener("change", (event) => sendFile(event.target.files));
  let depth = 0;
  const dropping = (on) => document.documentElement.classList.toggle("dropping", on);
  addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    depth += 1;
    dropping(true);
  });
  addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
  addEventListener("dragleave", (event) => {
    if (!carriesFiles(event)) return;
    depth -= 1;
    if (depth <= 0) dropping(false);
  });
  addEventListener("drop", (event) => {
    depth = 0;
    dropping(false);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    sendFile(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    sendFile(event.clipboardData.files);
  });
}

// Players -----------------------------------------------------------------------------------------

const addressOf = (player) => player.src.split("#")[0];
const statusOf = (player) => one("[data-player-status]", player.closest("[data-card]") ?? document.body);

function tell(player, text, { calm = false, original = "" } = {}) {
  const status = statusOf(player);
  if (!status) return;
  status.textContent = text;
  status.classList.toggle("calm", calm);
  if (original) {
    const link = document.createElement("a");
    link.href = original;
    link.download = "";
    link.textContent = "Download the original";
    status.append(" ", link, ".");
  }
  status.hidden = !text;
}

// A player only knows that it failed. The server says why, and whether waiting helps.
async function explain(player, wantsToPlay) {
  const address = addressOf(player);
  let response;
  try {
    response = await fetch(address, { headers: { Range: "bytes=0-0" } });
  } catch {
    tell(player, "The server cannot be reached.");
    return;
  }
  if (response.ok) {
    if (player.dataset.retried) {
      tell(player, "This browser cannot play it.", { original: address.replace(/playable$/, "media") });
      return;
    }
    player.dataset.retried = "yes";
    tell(player, "");
    player.load();
    if (wantsToPlay) player.play().catch(() => {});
    return;
  }
  if (response.status === 503 || response.status === 429) {
    tell(player, "Being prepared for your browser. It will start by itself.", { calm: true });
    const seconds = Number(response.headers.get("Retry-After")) || 0;
    setTimeout(() => explain(player, wantsToPlay), Math.max(MIN_RETRY_MS, 1000 * seconds));
    return;
  }
  const problem = await response.json().catch(() => ({}));
  tell(player, `It cannot be played: ${problem.detail ?? response.statusText}.`, { original: address.replace(/playable$/, "media") });
}

for (const player of all("[data-player]")) {
  let wantsToPlay = false;
  player.addEventListener("play", () => {
    wantsToPlay = true;
    all("[data-player]").forEach((other) => { if (other !== player) other.pause(); });
  });
  player.addEventListener("pause", () => { if (!player.error) wantsToPlay = false; });
  player.addEventListener("playing", () => { delete player.dataset.retried; tell(player, ""); });
  player.addEventListener("error", () => explain(player, wantsToPlay));
  player.addEventListener("timeupdate", () => follow(player));
}

for (const picture of all("[data-picture]")) {
  picture.addEventListener("error", async () => {
    const response = await fetch(picture.src).catch(() => null);
    if (response?.status === 503) {
      tell(picture, "Being prepared for your browser.", { calm: true });
      setTimeout(() => { tell(picture, ""); picture.src = `${picture.src.split("?")[0]}?again=${Date.now()}`; }, MIN_RETRY_MS);
      return;
    }
    const problem = await response?.json().catch(() => ({}));
    tell(picture, `It cannot be shown: ${problem?.detail ?? "the server cannot be reached"}.`);
  });
}

// A moment plays from its start to its stop, as the address of the file asks for.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-start]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const player = one("[data-player]", link.closest("[data-card]") ?? document);
  if (!player) return;
  event.preventDefault();
  const { start, stop } = link.dataset;
  const address = `${addressOf(player)}#t=${start}${stop ? `,${stop}` : ""}`;
  if (player.src === address && player.readyState > 0) player.currentTime = Number(start);
  player.src = address;
  player.play().catch(() => {});
});

function follow(player) {
  const card = player.closest("[data-card]");
  const now = player.currentTime + 0.05;
  const timed = all("[data-start]", card);
  for (const list of [timed.filter((link) => link.dataset.stop), timed.filter((link) => !link.dataset.stop)]) {
    // Of moments that overlap, the shortest says best where one is.
    const here = list.filter((link) => Number(link.dataset.start) <= now && now < Number(link.dataset.stop ?? Infinity));
    const length = (link) => Number(link.dataset.stop ?? 0) - Number(link.dataset.start);
    const current = here.sort((a, b) => length(a) - length(b))[0];
    for (const link of list) (link.closest("li.card") || !link.closest(".lines") ? link : link.closest("li")).classList.toggle("playing", link === current);
  }
}

// Keys --------------------------------------------------------------------------------------------

const STEPS = { j: 1, ArrowDown: 1, ArrowRight: 1, k: -1, ArrowUp: -1, ArrowLeft: -1 };

function isTyping(target) {
  return target.closest?.("input:not([type=checkbox]), select, textarea, audio, video, [contenteditable]");
}

function moveBy(step) {
  const links = all("[data-open]");
  if (!links.length) return false;
  const current = document.activeElement?.closest("[data-card]");
  const index = links.findIndex((link) => link.closest("[data-card]") === current);
  const next = links[Math.min(Math.max(index + step, 0), links.length - 1)];
  next.focus();
  next.closest("[data-card]").scrollIntoView({ block: "nearest" });
  return true;
}

addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
  const card = document.activeElement?.closest("[data-card]") ?? one("article[data-card]");
  if (event.key === "/") {
    const box = one("#q");
    box?.focus();
    box?.select();
  } else if (event.key in STEPS) {
    if (event.key.startsWith("Arrow") && document.activeElement?.closest(".lines")) return;
    if (!moveBy(STEPS[event.key])) return;
  } else if (event.key === "m" && card) {
    one("[data-similar]", card)?.click();
  } else if (event.key === " " && card && !event.target.closest?.("button, summary, input")) {
    const player = one("[data-player]", card);
    if (!player) return;
    if (player.paused) player.play().catch(() => {});
    else player.pause();
  } else {
    return;
  }
  event.preventDefault();
});
