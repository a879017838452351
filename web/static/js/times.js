
// ---- Times in the reader's own zone.

const parts = new Intl.DateTimeFormat("en-US", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const zones = ["en-GB", "en-US"].map((locale) => new Intl.DateTimeFormat(locale, { timeZoneName: "short" }));
const dayFormats = [{}, { year: "numeric" }].map((year) => new Intl.DateTimeFormat("en-GB", {
  weekday: "long", day: "numeric", month: "long", ...year,
}));

/** The zone's own short name where the browser knows one ("CET"), else its distance from UTC ("GMT+3"). */
function zoneName(date) {
  const names = zones.map((format) => format.formatToParts(date).find((part) => part.type === "timeZoneName").value);
  return names.find((name) => !/[+-]/.test(name)) ?? names[0];
}

const isSameDay = (one, other) => one.toDateString() === other.toDateString();

/** "Today", "Yesterday", "Friday 27 November"; with the year where it is another one. */
function dayName(date, now = new Date()) {
  if (isSameDay(date, now)) return "Today";
  if (isSameDay(date, new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1))) return "Yesterday";
  // British dates have a comma after the weekday.
  return dayFormats[Number(date.getFullYear() !== now.getFullYear())].format(date).replace(",", "");
}

/** Writes every time inside `within` as the reader's clock has it: below the heading of its day the time of day alone, beside
 *  other things of today too, elsewhere the whole. */
function showLocalTimes(within) {
  const now = new Date();
  for (const time of within.querySelectorAll("time.local")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const { day, month, year, hour, minute } = Object.fromEntries(parts.formatToParts(date).map((p) => [p.type, p.value]));
    const [clock, whole] = [`${hour}:${minute}`, `${day} ${month} ${year}, ${hour}:${minute} ${zoneName(date)}`];
    const isClock = time.classList.contains("clock");
    const isBrief = isClock || time.closest(".row, .readers, .since, .draft, .notice");
    if (isBrief) time.title = whole;
    if (isClock || (isBrief && isSameDay(date, now))) time.textContent = clock;
    else if (isBrief && date.getFullYear() === now.getFullYear()) time.textContent = `${day} ${month}, ${clock}`;
    else time.textContent = whole;
  }
  for (const list of document.querySelectorAll("#rows, #conversation")) showDays(list);
}

/** Puts a heading above the first entry of each day. */
function showDays(list) {
  list.querySelectorAll(":scope > .day").forEach((heading) => heading.remove());
  let above = "";
  for (const entry of list.children) {
    const time = entry.querySelector("time.clock");
    const day = time ? dayName(new Date(time.dateTime)) : above;
    if (day !== above) {
      const heading = document.createElement("li");
      heading.className = "day";
      heading.append(Object.assign(document.createElement("h2"), { textContent: day }));
      list.insertBefore(heading, entry);
    }
    above = day;
  }
}

/** "Today" is true until midnight. */
function keepDaysTrue() {
  const now = new Date();
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1);
  setTimeout(() => { showLocalTimes(document); keepDaysTrue(); }, Math.min(midnight - now + 1_000, 2 ** 31 - 1));
}
