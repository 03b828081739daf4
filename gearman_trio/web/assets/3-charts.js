// ---- charts of the last hour, and small ones without axes ----
const SAMPLES = 3600, POINTS = 300;
const SVG = "http://www.w3.org/2000/svg";

function drawing(className, names) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", className);
  const lines = names.map((name) => {
    const line = document.createElementNS(SVG, "polyline");
    line.setAttribute("class", name);
    svg.append(line);
    return line;
  });
  return { svg, lines };
}

function draw(line, values, most) {
  const step = 100 / Math.max(1, values.length - 1);
  const points = values.map((v, x) => `${(x * step).toFixed(2)},${(98 - 96 * v / most).toFixed(2)}`).join(" ");
  if (line.getAttribute("points") !== points) line.setAttribute("points", points);
}

function thinned(values) {
  // The highest of each group: a peak must not vanish.
  if (values.length <= POINTS) return values;
  const size = Math.ceil(values.length / POINTS), kept = [];
  for (let i = 0; i < values.length; i += size) kept.push(Math.max(...values.slice(i, i + size)));
  return kept;
}

const perSecond = (key) => (list) => list.slice(1).map((sample, i) => {
  const seconds = sample.time - list[i].time;
  return seconds > 0 ? Math.max(0, sample[key] - list[i][key]) / seconds : 0;
});
const level = (key) => (list) => list.map((sample) => sample[key] ?? 0);

class Charts {
  // wanted: [[name of one, its series, name of the other, its series], ...]; the second may be missing.
  constructor(wanted, written = rate) {
    this.written = written;
    this.element = make("div", undefined, "charts");
    this.charts = wanted.map(([first, one, second, two]) => {
      const figure = make("figure"), caption = make("figcaption"), most = make("span");
      const { svg, lines } = drawing("", second ? ["one", "two"] : ["one"]);
      caption.append(make("span", "— " + first, "one"));
      if (second) caption.append(make("span", "— " + second, "two"));
      caption.append(make("span", "", "grow"), most);
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", `${first}${second ? ` and ${second.toLowerCase()}` : ""}, last hour`);
      figure.append(caption, svg);
      this.element.append(figure);
      return { most, lines, series: second ? [one, two] : [one] };
    });
  }

  draw(samples) {
    for (const chart of this.charts) {
      const series = chart.series.map((values) => thinned(values(samples)));
      const highest = Math.max(0, ...series.flat());
      setText(chart.most, `up to ${this.written(highest)}`);
      series.forEach((values, i) => draw(chart.lines[i], values, highest || 1));
    }
  }
}

function fillSpark(cell, values) {
  if (!values || values.length < 2) { setText(cell, ""); return; }
  if (!cell.spark) {
    cell.spark = drawing("spark", [""]);
    cell.spark.svg.setAttribute("aria-hidden", "true");
  }
  if (cell.spark.svg.parentNode !== cell) cell.replaceChildren(cell.spark.svg);
  draw(cell.spark.lines[0], values, Math.max(1, ...values));
}
