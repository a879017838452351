
// ---- The copy of what is one's own: how far it is, while it is made and sent. The browser takes it as a download, and the page
// stays.

/** Between two looks, in milliseconds. */
const LOOK = 1_000;
/** After so many looks without an answer there is none: the download did not begin, or there is no connection. */
const LOOKS = 30;

function startOwnData() {
  const [box, bar, said, form] = [$("download"), $("download-progress"), $("download-said"), $("own-data")];
  let timer = 0;
  $("download-look").hidden = true;

  const show = ({ state, percent, said: words }) => {
    box.hidden = false;
    bar.value = percent;
    // The numbers on the way are not read aloud, what comes of it is.
    said.setAttribute("role", state === "under_way" ? "presentation" : "status");
    if (said.textContent !== words) said.textContent = words;
  };

  /** Looks at the download with another number than `old`, until it is over. */
  const look = async (old, tries) => {
    const reply = await ask("/me/data/progress");
    if (session.over) return;
    const now = reply ? json(reply) : {};
    const found = now.number !== undefined && now.number !== old;
    if (found) show(now);
    const goesOn = found ? now.state === "under_way" : tries > 1;
    if (goesOn) timer = setTimeout(() => look(old, found ? LOOKS : tries - 1), LOOK);
    if (found) box.dataset.number = now.number;
  };

  form?.addEventListener("submit", () => {
    clearTimeout(timer);
    const old = box.dataset.number === undefined ? undefined : Number(box.dataset.number);
    timer = setTimeout(() => look(old, LOOKS), LOOK / 4);
  });
  session.atEnd.push(() => clearTimeout(timer));
  if (box.dataset.state === "under_way") look(undefined, LOOKS);
}
