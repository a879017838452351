
// ---- What an open list marks of duties: for you, and urgent. A duty may end anywhere: by an answer in this tab or in another
// one, by a reply, by a teammate.

/** Puts the two marks before the other tags of a row, or takes them from it. */
function markDuty(row, isMine, isUrgent) {
  const tags = row.querySelector(".tags");
  tags.querySelectorAll(".mine, .urgent").forEach((tag) => tag.remove());
  const tag = (name, className, textContent) => Object.assign(document.createElement(name), { className, textContent });
  if (isMine) tags.prepend(tag("span", "tag mine", "for you"));
  if (isUrgent) tags.prepend(tag("strong", "tag urgent", "urgent"));
  row.classList.toggle("urgent", isUrgent);
}

const hasDuty = (row) => Boolean(row?.querySelector(".tag.mine"));
const isUrgentRow = (row) => Boolean(row?.querySelector(".tag.urgent"));

/** Marks all rows by what the site has just said: the numbers of conversations. */
function markDuties({ mine, unanswered }) {
  const [own, urgent] = [mine, unanswered].map((numbers) => new Set(numbers.split(" ")));
  for (const row of document.querySelectorAll("#rows .row")) {
    const number = row.id.replace("message-", "");
    const [isMine, isUrgent] = [own.has(number), urgent.has(number)];
    if (isMine !== hasDuty(row) || isUrgent !== isUrgentRow(row)) markDuty(row, isMine, isUrgent);
  }
}
