
// ---- Where the list stood: after sending, and after what is done with a conversation, it stands there again. It is kept for
// this session in this tab, and says nothing about anybody.

const PLACE = "place";

function startPlace() {
  const own = document.body.dataset.session;
  const here = new URL(location);
  const notice = here.searchParams.get("notice");
  here.searchParams.delete("notice");
  const address = here.pathname + here.search;
  const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
  if (notice && kept?.own === own) {
    if (kept.address !== address) {
      const there = new URL(kept.address, location);
      there.searchParams.set("notice", notice);
      location.replace(there);
      return;
    }
    scrollTo(0, kept.top);
  }
  addEventListener("pagehide", () => sessionStorage.setItem(PLACE, JSON.stringify({ own, address, top: scrollY })));
}
