import { paretoFront, type Weighed } from './pareto.js';

const SIZE = { width: 760, height: 440 } as const;
const PLOT = { left: 70, right: 40, top: 50, bottom: 60 } as const;
/** Radius of the largest circle. */
const LARGEST = 22;
const TICKS = 5;
/** Distance of two labels' lines. */
const LINE = 14;

const escaped = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** A range with a tenth of room on both sides; one value gets a range around it. */
function rangeOf(values: readonly number[]): readonly [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = high > low ? (high - low) / 10 : Math.max(Math.abs(high) / 10, 0.01);
  return [low - room, high + room];
}

const spelled = (value: number): string => String(Number(value.toPrecision(3)));

/** The variants: time to the right, quality upwards, memory as area. */
export function paretoPicture(title: string, all: readonly Weighed[]): string {
  const front = new Set(paretoFront(all));
  const points = all.map((each): Point => {
    const { variant: label, p50Ms: x, quality: y, memoryMiB: area } = each;
    return { label, x, y, area, onFront: front.has(each) };
  });
  const axes = {
    x: 'median ms of a call',
    y: 'quality',
    area: (most: number) => `memory, at most ${spelled(most)} MiB`,
  };
  return pictureOf(title, points, axes);
}

export interface Point {
  readonly label: string;
  readonly x: number;
  readonly y: number;
  readonly area: number;
  readonly onFront: boolean;
}

/** What the directions of a picture and its circles' areas stand for. */
export interface Axes {
  readonly x: string;
  readonly y: string;
  readonly area: (most: number) => string;
}

/** Circles as an SVG. Those of the front are filled, and joined by a line. */
export function pictureOf(title: string, all: readonly Point[], axes: Axes): string {
  const [x0, x1] = rangeOf(all.map((each) => each.x));
  const [y0, y1] = rangeOf(all.map((each) => each.y));
  const most = Math.max(...all.map(({ area }) => area), 1);
  const right = SIZE.width - PLOT.right;
  const bottom = SIZE.height - PLOT.bottom;
  const x = (value: number): number => Math.round(PLOT.left + ((value - x0) / (x1 - x0)) * (right - PLOT.left));
  const y = (value: number): number => Math.round(bottom - ((value - y0) / (y1 - y0)) * (bottom - PLOT.top));
  const ticks = (low: number, high: number) =>
    Array.from({ length: TICKS }, (_, i) => low + ((high - low) * i) / (TICKS - 1));
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${SIZE.width}" height="${SIZE.height}" fill="#fff"/>`,
    `<text x="${PLOT.left}" y="24" font-size="15">${escaped(title)}</text>`,
    `<path d="M${PLOT.left} ${PLOT.top}V${bottom}H${right}" fill="none" stroke="#555"/>`,
    ...ticks(x0, x1).map(
      (value) => `<text x="${x(value)}" y="${bottom + 18}" text-anchor="middle" fill="#555">${spelled(value)}</text>`,
    ),
    ...ticks(y0, y1).map(
      (value) =>
        `<text x="${PLOT.left - 8}" y="${y(value) + 4}" text-anchor="end" fill="#555">${spelled(value)}</text>`,
    ),
    `<text x="${right}" y="${bottom + 40}" text-anchor="end">${escaped(axes.x)}</text>`,
    `<text x="${PLOT.left}" y="${PLOT.top - 8}">${escaped(`${axes.y}; area: ${axes.area(most)}`)}</text>`,
  ];
  const front = all.filter(({ onFront }) => onFront).sort((a, b) => a.x - b.x);
  const path = front.map((each) => `${x(each.x)},${y(each.y)}`);
  lines.push(`<polyline points="${path.join(' ')}" fill="none" stroke="#3574c4" stroke-dasharray="4 3"/>`);
  const places: { readonly x: number; readonly y: number }[] = [];
  for (const each of [...all].sort((a, b) => y(b.y) - y(a.y))) {
    const at = { x: x(each.x), y: y(each.y) };
    const radius = Math.max(3, Math.round(LARGEST * Math.sqrt(each.area / most)));
    const fill = each.onFront ? 'fill="#3574c4" fill-opacity="0.6"' : 'fill="none"';
    const left = at.x > (PLOT.left + right) / 2;
    const label = { x: left ? at.x - radius - 4 : at.x + radius + 4, y: at.y + 4 };
    // Labels close to each other are moved apart, upwards.
    while (places.some((place) => Math.abs(place.x - label.x) < 150 && Math.abs(place.y - label.y) < LINE)) {
      label.y -= LINE;
    }
    places.push(label);
    lines.push(
      `<circle cx="${at.x}" cy="${at.y}" r="${radius}" ${fill} stroke="#3574c4"/>`,
      `<text x="${label.x}" y="${label.y}" text-anchor="${left ? 'end' : 'start'}">${escaped(each.label)}</text>`,
    );
  }
  return `${lines.join('\n')}\n</svg>\n`;
}
