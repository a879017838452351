
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
    if (time.classList.contains("record")) {
      const second = String(date.getSeconds()).padStart(2, "0");
      showRecordTime(time, `${day} ${month} ${year}, ${hour}:${minute}:${second} ${zoneName(date)}`);
      continue;
    }
    const isClock = time.classList.contains("clock");
    const isBrief = isClock || time.closest(".row, .readers, .duties, .since, .draft, .notice, .said, .team");
    if (isBrief) time.title = whole;
    if (isClock || (isBrief && isSameDay(date, now))) time.textContent = clock;
    else if (isBrief && date.getFullYear() === now.getFullYear()) time.textContent = `${day} ${month}, ${clock}`;
    else time.textContent = whole;
  }
  for (const list of document.querySelectorAll("#rows, #conversation")) showDays(list);
}

/** Of a record, to the second, with UTC beside: what an auditor compares with other records. */
function showRecordTime(time, local) {
  let utc = time.nextElementSibling;
  if (!utc?.matches(".utc")) {
    utc = Object.assign(document.createElement("span"), { className: "utc" });
    time.after(" ", utc);
  }
  utc.textContent = time.dateTime.replace(/^.*T([\d:]{8}).*$/, "$1 UTC");
  time.textContent = local;
}

/** What a `datetime-local` field holds for a moment, in UTC and on the reader's clock. */
const utcField = (date) => date.toISOString().slice(0, 16);
const localField = (date) => utcField(new Date(date - date.getTimezoneOffset() * 60_000));

/** The filter's moments on the reader's clock; its address has them in UTC. */
function showLocalFilter(form) {
  for (const field of form.querySelectorAll("[type=datetime-local]")) {
    const date = new Date(`${field.defaultValue}Z`);
    const known = !Number.isNaN(date.getTime());
    if (known) field.value = localField(date);
    form.querySelector(`label[for=${field.id}] .zone`).textContent = `(${zoneName(known ? date : new Date())})`;
    form.addEventListener("formdata", ({ formData }) => {
      if (field.value) formData.set(field.name, utcField(new Date(field.value)));
    });
  }
}

/** Leads to whole days of the reader's own, and not of UTC's. */
function showLocalDays() {
  const shown = new URL(location).searchParams;
  for (const link of document.querySelectorAll(".presets a")) {
    const address = new URL(link.href);
    const now = new Date();
    const midnight = (before) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - before);
    address.searchParams.set("from", utcField(midnight(Number(link.dataset.first))));
    address.searchParams.set("to", utcField(new Date(midnight(Number(link.dataset.last) - 1) - 60_000)));
    link.href = address;
    const isInForce = ["from", "to"].every((name) => address.searchParams.get(name) === shown.get(name));
    if (isInForce) link.ariaCurrent = "true";
    else link.ariaCurrent = null;
  }
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
