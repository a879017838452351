
// ---- Whom a message is for: a list to tick, with a box that narrows it, and what is chosen beside it.

const recipients = {
  /** The boxes to tick of a form. */
  boxes(form) { return [...form.querySelectorAll("#for [name=team], #for [name=person]")]; },

  /** As the form sends it. */
  fields(form) {
    const ticked = (name) => this.boxes(form).filter((box) => box.name === name && box.checked).map((box) => box.value);
    // Where nobody can be chosen, nothing can be urgent.
    const { urgent, policy, aware } = form.elements;
    return { person: ticked("person"), team: ticked("team"), urgent: urgent?.checked ? "1" : "", policy: policy?.value, aware: aware.value };
  },

  fill(form, fields) {
    for (const box of this.boxes(form)) box.checked = !box.disabled && fields[box.name].includes(box.value);
    if (form.elements.urgent) form.elements.urgent.checked = Boolean(fields.urgent);
    if (form.elements.policy && fields.policy) form.elements.policy.value = fields.policy;
    form.dispatchEvent(new Event("chosen"));
  },

  /** What tells two choices apart; nothing for nobody. */
  text({ person = [], team = [], urgent, policy }) {
    const numbers = (name, values) => values.map(Number).sort((one, other) => one - other).map((value) => `${name} ${value}`);
    return [...numbers("person", person), ...numbers("team", team), ...(urgent ? [`urgent ${policy}`] : [])];
  },

  /** Takes the list of a form over. */
  start(form) {
    const [chips, list, find, said] = [$("chips"), $("for"), $("find-text"), $("find-said")];
    const boxes = this.boxes(form);
    const nameOf = (box) => box.closest("label").querySelector("bdi").textContent;
    const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();
    const shown = () => boxes.filter((box) => !box.closest("label").hidden && !box.disabled);
    const chosen = () => boxes.filter((box) => box.checked);
    const say = (text) => { said.textContent = text; };
    if (boxes.length === 0) return;
    $("find").hidden = false;

    const chip = (box) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "chip", ariaLabel: `Remove ${nameOf(box)}` });
      const cross = Object.assign(document.createElement("span"), { textContent: "×", ariaHidden: "true" });
      button.append(Object.assign(document.createElement("bdi"), { textContent: nameOf(box) }), " ", cross);
      button.addEventListener("click", () => {
        const at = chosen().indexOf(box);
        box.checked = false;
        changed(box);
        const left = chips.querySelectorAll("button");
        (left[Math.min(at, left.length - 1)] ?? list.querySelector("summary")).focus();
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    };

    const show = () => {
      const ticked = chosen();
      chips.replaceChildren(...ticked.map(chip));
      chips.hidden = ticked.length === 0;
      $("for-count").textContent = ticked.length ? ` (${ticked.length} chosen)` : "";
    };

    /** Ticked or not by the script: the form hears of it as of any other change. */
    const changed = (box) => box.dispatchEvent(new Event("input", { bubbles: true }));

    const narrow = () => {
      const words = plain(find.value).split(/\s+/).filter(Boolean);
      for (const box of boxes) {
        const label = box.closest("label");
        label.hidden = !words.every((word) => plain(label.textContent).includes(word));
      }
      for (const group of list.querySelectorAll(".ticks")) group.hidden = !group.querySelector("label:not([hidden])");
      const found = shown().length;
      say(words.length === 0 ? "" : found === 0 ? "Nobody of this name" : `${found} found`);
    };

    const toggle = (box) => {
      box.checked = !box.checked;
      changed(box);
    };

    form.addEventListener("chosen", show);
    list.addEventListener("input", (event) => {
      if (event.target === find) {
        // It is no part of the message.
        event.stopPropagation();
        narrow();
      } else if (boxes.includes(event.target)) {
        show();
        const count = chosen().length;
        say(`${nameOf(event.target)} ${event.target.checked ? "chosen" : "removed"}, ${count} in all`);
      }
    });
    list.addEventListener("keydown", (event) => {
      const at = shown().indexOf(event.target);
      const inFind = event.target === find;
      if ((!inFind && at < 0) || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      const act = {
        ArrowDown: () => shown()[at + 1]?.focus(),
        ArrowUp: () => (at > 0 ? shown()[at - 1] : find).focus(),
        Enter: () => {
          const box = inFind ? shown()[0] : event.target;
          if (!box || (inFind && find.value.trim() === "")) return;
          toggle(box);
          if (!inFind) return;
          const told = said.textContent;
          find.value = "";
          narrow();
          say(told);
        },
        Escape: () => {
          if (find.value === "") return;
          find.value = "";
          narrow();
          find.focus();
        },
      }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
    show();
  },
};
