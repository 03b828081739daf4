// ---- tables: rows are kept and changed in place, so that what has the focus keeps it ----
const styleOf = (column) => [column.words ? "words" : "", column.class ?? ""].join(" ").trim();

class Table {
  // columns: {key, name, words, class, plain, show(row) -> text, fill(cell, row)}; plain ones cannot be sorted by.
  constructor({ name, columns, key, order = null, empty, describe = null, mark = () => "" }) {
    Object.assign(this, { columns, key, describe, mark, nothing: empty });
    this.sort = { key: order, up: false };
    this.filter = "";
    this.rows = [];
    this.lines = new Map();
    this.table = make("table");
    this.table.id = name.toLowerCase();
    this.body = make("tbody");
    this.empty = make("p", empty, "empty");
    this.element = make("div", undefined, "scroll");
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "region");
    this.element.setAttribute("aria-label", name);
    this.table.append(this.head(), this.body);
    this.element.append(this.table, this.empty);
    this.draw([]);
  }

  head() {
    const head = make("thead"), line = make("tr");
    for (const column of this.columns) {
      const cell = make("th", undefined, styleOf(column));
      cell.scope = "col";
      if (column.plain || this.sort.key === null) cell.textContent = column.name;
      else cell.append(button(column.name, () => this.sortBy(column)));
      column.head = cell;
      line.append(cell);
    }
    head.append(line);
    return head;
  }

  sortBy(column) {
    this.sort.up = this.sort.key === column.key ? !this.sort.up : Boolean(column.words);
    this.sort.key = column.key;
    this.draw(this.rows);
  }

  ordered(rows) {
    const { key, up } = this.sort;
    const describe = this.describe;
    const wanted = this.filter ? rows.filter((row) => describe(row).toLowerCase().includes(this.filter)) : [...rows];
    if (key === null) return wanted;
    // What is not known comes last.
    const compare = (a, b) => (typeof a === "string" && typeof b === "string" ? a.localeCompare(b) : (a ?? -1) - (b ?? -1));
    return wanted.sort((a, b) => (b.stalled === true) - (a.stalled === true)
      || compare(a[key], b[key]) * (up ? 1 : -1) || (describe ? compare(describe(a), describe(b)) : 0));
  }

  draw(rows) {
    this.rows = rows;
    for (const { key, head, plain } of this.columns) {
      if (!plain && key === this.sort.key && key !== null) head.setAttribute("aria-sort", this.sort.up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    const wanted = this.ordered(rows), keys = new Set(wanted.map((row) => String(row[this.key])));
    // First, for a row that is moved loses the focus, and those behind one that goes need not be moved.
    for (const [key, line] of this.lines) if (!keys.has(key)) { line.remove(); this.lines.delete(key); }
    wanted.forEach((row, index) => {
      const key = String(row[this.key]);
      let line = this.lines.get(key);
      if (!line) this.lines.set(key, line = this.line());
      this.fill(line, row);
      if (this.body.children[index] !== line) this.body.insertBefore(line, this.body.children[index] ?? null);
    });
    this.table.hidden = rows.length === 0;
    this.empty.hidden = wanted.length !== 0;
    setText(this.empty, rows.length ? `Nothing that is shown here holds “${this.filter}”.` : this.nothing);
  }

  line() {
    const line = make("tr");
    for (const column of this.columns) line.append(make("td", undefined, styleOf(column)));
    return line;
  }

  fill(line, row) {
    line.className = this.mark(row);
    this.columns.forEach((column, index) => {
      const cell = line.cells[index];
      if (column.fill) column.fill(cell, row);
      else setText(cell, column.show ? column.show(row) : String(row[column.key] ?? none));
    });
  }
}

function fillLink(cell, text, href) {
  let there = cell.querySelector("a");
  if (!there) { there = make("a"); cell.replaceChildren(there); }
  setText(there, text);
  if (there.getAttribute("href") !== href) there.setAttribute("href", href);
}

function fillButtons(cell, row, actions) {
  // actions: {name, danger, does(row)}; what a button does is done to the row as it is when it is pressed.
  cell.row = row;
  const wanted = access.readOnly ? [] : actions;
  const names = wanted.map((action) => action.name).join();
  if (cell.dataset.names === names) return;
  cell.dataset.names = names;
  cell.replaceChildren(...wanted.map((action) => button(action.name, () => action.does(cell.row), action.danger ? "danger" : "")));
}

function fillProgress(cell, row) {
  if (row.progress === null || row.progress === undefined) { cell.replaceChildren(); setText(cell, none); return; }
  if (!cell.firstElementChild) {
    cell.replaceChildren(make("progress"), make("span", "", "faint"));
    cell.firstElementChild.setAttribute("aria-label", "progress");
  }
  cell.firstElementChild.value = row.progress;
  setText(cell.lastElementChild, ` ${Math.floor(row.progress * 100)} %`);
}

function facts(pairs) {
  const list = make("dl", undefined, "facts");
  for (const [name, value] of pairs) {
    const told = make("dd");
    told.append(value instanceof Node ? value : String(value ?? none));
    list.append(make("dt", name), told);
  }
  return list;
}

function card(title, ...content) {
  const element = make("section", undefined, "card");
  element.append(make("h2", title), ...content);
  return element;
}
