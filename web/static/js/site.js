
// ---- What happens on a page

/** A link to an emergency access carries the one-time code behind its `#`, which browsers send nowhere; it goes into the
 *  form, and out of the address. */
function takeCode(field) {
  const code = decodeURIComponent(location.hash.slice(1));
  if (!code) return;
  field.value = code;
  history.replaceState(history.state, "", location.pathname);
}

showLocalTimes(document);
showLocalDays();
if ($("audit-filter")) showLocalFilter($("audit-filter"));
if (document.querySelector("#rows, #conversation, .team")) {
  keepDaysTrue();
  document.addEventListener("visibilitychange", () => { if (!document.hidden) showLocalTimes(document); });
}
const code = $("code");
if (code) {
  takeCode(code);
  addEventListener("hashchange", () => takeCode(code));
}
if (signedIn && $("rows")) startPlace();
const notice = document.querySelector(".notice");
if (notice) {
  // Said once: loading the page again must not say it again. A screen reader hears only what changes after loading.
  const address = new URL(location);
  address.searchParams.delete("notice");
  history.replaceState(history.state, "", address);
  setTimeout(() => { notice.replaceChildren(...notice.childNodes); }, 250);
}
// The sign-in page comes only to a browser in which nobody is signed in: its other tabs must not show anything either.
if (document.body.dataset.signedOut) tell({ signedOut: document.body.dataset.signedOut });

if (signedIn) {
  session.start();
  startKeys();
  urgent.start();
  hidden.start();
  if ($("compose")) startWriting();
  if ($("rows-form")) rows.start();
  if ($("download")) startOwnData();
  if ($("rows")?.dataset.updates) startUpdates($("rows"));
  if ($("conversation")) startArrivals($("conversation"));
}
