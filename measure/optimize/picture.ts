import { paretoFront, type Weighed } from './pareto.js';

const SIZE = { width: 760, height: 440 } as const;
const PLOT = { left: 70, right: 40, top: 50, bottom: 60 } as const;
/** Radius of the largest circle; areas are in proportion to memory. */
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

/**
 * The variants as circles, time to the right, quality upwards, memory as area. Those that no other one beats are filled, and joined by a
 * line.
 */
export function paretoPicture(title: string, all: readonly Weighed[]): string {
  const front = new Set(paretoFront(all));
  const [x0, x1] = rangeOf(all.map(({ p50Ms }) => p50Ms));
  const [y0, y1] = rangeOf(all.map(({ quality }) => quality));
  const most = Math.max(...all.map(({ memoryMiB }) => memoryMiB), 1);
  const right = SIZE.width - PLOT.right;
  const bottom = SIZE.height - PLOT.bottom;
  const x = (ms: number): number => Math.round(PLOT.left + ((ms - x0) / (x1 - x0)) * (right - PLOT.left));
  const y = (quality: number): number => Math.round(bottom - ((quality - y0) / (y1 - y0)) * (bottom - PLOT.top));
  const ticks = (low: number, high: number) =>
    Array.from({ length: TICKS }, (_, i) => low + ((high - low) * i) / (TICKS - 1));
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${SIZE.width}" height="${SIZE.height}" fill="#fff"/>`,
    `<text x="${PLOT.left}" y="24" font-size="15">${escaped(title)}</text>`,
    `<path d="M${PLOT.left} ${PLOT.top}V${bottom}H${right}" fill="none" stroke="#555"/>`,
    ...ticks(x0, x1).map(
      (ms) => `<text x="${x(ms)}" y="${bottom + 18}" text-anchor="middle" fill="#555">${spelled(ms)}</text>`,
    ),
    ...ticks(y0, y1).map(
      (quality) =>
        `<text x="${PLOT.left - 8}" y="${y(quality) + 4}" text-anchor="end" fill="#555">${spelled(quality)}</text>`,
    ),
    `<text x="${right}" y="${bottom + 40}" text-anchor="end">median ms of a call</text>`,
    `<text x="${PLOT.left}" y="${PLOT.top - 8}">quality; area: memory, at most ${spelled(most)} MiB</text>`,
  ];
  const path = [...front].sort((a, b) => a.p50Ms - b.p50Ms).map((each) => `${x(each.p50Ms)},${y(each.quality)}`);
  lines.push(`<polyline points="${path.join(' ')}" fill="none" stroke="#3574c4" stroke-dasharray="4 3"/>`);
  const places: { readonly x: number; readonly y: number }[] = [];
  for (const each of [...all].sort((a, b) => y(b.quality) - y(a.quality))) {
    const at = { x: x(each.p50Ms), y: y(each.quality) };
    const radius = Math.max(3, Math.round(LARGEST * Math.sqrt(each.memoryMiB / most)));
    const fill = front.has(each) ? 'fill="#3574c4" fill-opacity="0.6"' : 'fill="none"';
    const left = at.x > (PLOT.left + right) / 2;
    const label = { x: left ? at.x - radius - 4 : at.x + radius + 4, y: at.y + 4 };
    // Labels close to each other are moved apart, upwards.
    while (places.some((place) => Math.abs(place.x - label.x) < 150 && Math.abs(place.y - label.y) < LINE)) {
      label.y -= LINE;
    }
    places.push(label);
    lines.push(
      `<circle cx="${at.x}" cy="${at.y}" r="${radius}" ${fill} stroke="#3574c4"/>`,
      `<text x="${label.x}" y="${label.y}" text-anchor="${left ? 'end' : 'start'}">${escaped(each.variant)}</text>`,
    );
  }
  return `${lines.join('\n')}\n</svg>\n`;
}
