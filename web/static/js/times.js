
// ---- Times in the reader's own zone.

const parts = new Intl.DateTimeFormat("en-US", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const zones = ["en-GB", "en-US"].map((locale) => new Intl.DateTimeFormat(locale, { timeZoneName: "short" }));

/** The zone's own short name where the browser knows one ("CET"), else its distance from UTC ("GMT+3"). */
function zoneName(date) {
  const names = zones.map((format) => format.formatToParts(date).find((part) => part.type === "timeZoneName").value);
  return names.find((name) => !/[+-]/.test(name)) ?? names[0];
}

/** Writes every time inside `within` as the reader's clock has it. */
function showLocalTimes(within) {
  for (const time of within.querySelectorAll("time.local")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const { day, month, year, hour, minute } = Object.fromEntries(parts.formatToParts(date).map((p) => [p.type, p.value]));
    const thisYear = date.getFullYear() === new Date().getFullYear();
    const shown = thisYear && time.closest(".row") ? `${day} ${month}` : `${day} ${month} ${year}`;
    time.textContent = `${shown}, ${hour}:${minute} ${zoneName(date)}`;
  }
}
