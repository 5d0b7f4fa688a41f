import type { Point } from './layout.js';

/** Sizes in px for a system sans-serif font: widths are a little above the mean so that text stays in its box. */
const TEXT = { size: 13, width: 7.6 } as const;
const SMALL = { size: 11, width: 6.4 } as const;
export const PAD = 12;
const LINE = 17;
/** Height of a frame's title. */
const HEAD = 28;
/** Room of an arrow with a label that leads down. */
const DOWN = 40;

export const widthOfLabel = (text: string): number => text.length * SMALL.width;

/** Colours for both themes; text contrast is at least 4.5 to 1. */
export const STYLE = `
  .ground{fill:#fff}.stage{fill:#f4f6fb;stroke:#5b6b8c}.worker{fill:#eef7f0;stroke:#4f7f5f}.person{fill:#fdf3e4;stroke:#9a6a1c}
  .group{fill:none;stroke:#8a94a6}.lane{fill:none;stroke:#b6bdca;stroke-dasharray:3 3}.segment{fill:#2f6fed14;stroke:#2f6fed;stroke-dasharray:6 4}
  .end{fill:#e7ebf3;stroke:#5b6b8c}.line{fill:none;stroke:#5b6b8c;stroke-width:1.4}.other{fill:none;stroke:#5b6b8c;stroke-width:1.2;stroke-dasharray:4 3}.tip{fill:#5b6b8c}
  text{fill:#1d2433;font:${TEXT.size}px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}.name{font-weight:600}
  .small{font-size:${SMALL.size}px;fill:#4a556b}.label{font-size:${SMALL.size}px;fill:#4a556b;paint-order:stroke;stroke:#fff;stroke-width:4px}
  .mark{font-size:${SMALL.size}px;fill:#1f56c4}
  @media (prefers-color-scheme:dark){
    .ground{fill:#12161f}.stage{fill:#1e2635;stroke:#8fa0c4}.worker{fill:#1a2a20;stroke:#7fb892}.person{fill:#2e2414;stroke:#d6a757}
    .group{stroke:#76819a}.lane{stroke:#4b566d}.segment{fill:#5b8dff1f;stroke:#7aa2ff}.end{fill:#2a3347;stroke:#8fa0c4}
    .line,.other{stroke:#8fa0c4}.tip{fill:#8fa0c4}text{fill:#e8ecf5}.small{fill:#b4bfd4}.label{fill:#b4bfd4;stroke:#12161f}.mark{fill:#9dbbff}
  }`;

/** A drawn element with its upper left corner at (0, 0). */
export interface Picture {
  readonly width: number;
  /** The least height. */
  readonly height: number;
  /** Its SVG at this height or a greater one. */
  draw(height: number): string;
}

/** A text in a box, of a style of its own. */
export interface Line {
  readonly text: string;
  readonly style: 'name' | 'small' | 'mark';
}

const widthOf = ({ text, style }: Line): number => text.length * (style === 'name' ? TEXT : SMALL).width;

/** A box around lines of text. */
export function box(style: string, lines: readonly Line[]): Picture {
  const width = Math.ceil(Math.max(...lines.map(widthOf)) + 2 * PAD);
  const height = LINE * lines.length + PAD;
  return {
    width,
    height,
    draw: (tall) => {
      const top = (tall - height) / 2;
      const texts = lines.map(
        ({ text, style: of }, i) =>
          `<text class="${of}" x="${round(width / 2)}" y="${round(top + LINE * (i + 1) + (i === 0 ? 2 : 0))}" text-anchor="middle">${escaped(text)}</text>`,
      );
      return [`<rect class="${style}" width="${width}" height="${round(tall)}" rx="6"/>`, ...texts].join('');
    },
  };
}

export function pill(text: string): Picture {
  const width = Math.ceil(text.length * TEXT.width + 2 * PAD);
  const name = (y: number) =>
    `<text x="${width / 2}" y="${round(y + 4.5)}" text-anchor="middle">${escaped(text)}</text>`;
  return {
    width,
    height: 28,
    draw: (tall) => `<rect class="end" width="${width}" height="${round(tall)}" rx="14"/>${name(tall / 2)}`,
  };
}

/** A frame with a title and lines below it. */
export function framed(style: string, [title, ...more]: readonly [Line, ...Line[]], inner: Picture): Picture {
  const width = Math.ceil(Math.max(inner.width, ...[title, ...more].map(widthOf)) + 2 * PAD);
  const head = HEAD + LINE * more.length;
  const texts = [title, ...more].map(
    ({ text, style: of }, i) => `<text class="${of}" x="${PAD}" y="${19 + LINE * i}">${escaped(text)}</text>`,
  );
  return {
    width,
    height: Math.ceil(inner.height + head + PAD),
    draw: (tall) =>
      [
        `<rect class="${style}" width="${width}" height="${round(tall)}" rx="10"/>`,
        ...texts,
        move(inner.draw(inner.height), { x: (width - inner.width) / 2, y: head }),
      ].join(''),
  };
}

/** Pictures one below the other. */
export function stacked(pictures: readonly Picture[]): Picture {
  const width = Math.max(...pictures.map((picture) => picture.width));
  let y = -PAD;
  const all = pictures.map((picture) => {
    const svg = move(picture.draw(picture.height), { x: 0, y: y + PAD });
    y += picture.height + PAD;
    return svg;
  });
  return { width, height: y, draw: () => all.join('\n') };
}

/** A picture with others below it, each under a dashed arrow that says when it takes the first one's place. */
export function withOthers(
  main: Picture,
  others: readonly { readonly when: string; readonly picture: Picture }[],
): Picture {
  const columns = others.map(({ when, picture }) => Math.ceil(Math.max(picture.width, widthOfLabel(when))));
  const row = columns.reduce((sum, width) => sum + width + PAD, -PAD);
  const width = Math.max(main.width, row) + 2 * PAD;
  const below = PAD + main.height + DOWN;
  let left = (width - row) / 2;
  const middle = width / 2;
  const all = others.map(({ when, picture }, i) => {
    const column = columns[i] ?? 0;
    const x = left + column / 2;
    left += column + PAD;
    const start = PAD + main.height;
    const d = `M${round(middle)} ${start}C${round(middle)} ${start + 14} ${round(x)} ${start + 6} ${round(x)} ${below - 22}L${round(x)} ${below}`;
    return [
      `<path class="other" d="${d}" marker-end="url(#tip)"/>`,
      move(picture.draw(picture.height), { x: x - picture.width / 2, y: below }),
      `<text class="label" x="${round(x)}" y="${below - 9}" text-anchor="middle">${escaped(when)}</text>`,
    ].join('');
  });
  return {
    width,
    height: below + Math.max(...others.map(({ picture }) => picture.height)) + PAD,
    draw: (tall) =>
      [
        `<rect class="lane" width="${width}" height="${round(tall)}" rx="10"/>`,
        ...all,
        move(main.draw(main.height), { x: (width - main.width) / 2, y: PAD }),
      ].join(''),
  };
}

const round = (n: number): number => Math.round(n * 10) / 10;
export const move = (svg: string, { x, y }: Point): string =>
  `<g transform="translate(${round(x)} ${round(y)})">${svg}</g>`;

/** Height that each link needs at the side of a box where it ends, for its label. */
export const PORT = LINE + 1;

/** Curved between two columns, straight within one. */
export function line(points: readonly Point[]): string {
  const [start, ...others] = points as [Point, ...Point[]];
  let d = `M${round(start.x)} ${round(start.y)}`;
  let from = start;
  for (const to of others) {
    const middle = (from.x + to.x) / 2;
    d +=
      Math.abs(from.y - to.y) < 0.5
        ? `L${round(to.x)} ${round(to.y)}`
        : `C${round(middle)} ${round(from.y)} ${round(middle)} ${round(to.y)} ${round(to.x)} ${round(to.y)}`;
    from = to;
  }
  return `<path class="line" d="${d}" marker-end="url(#tip)"/>`;
}

/** Above the end of its line, where the lines to one box are a port apart from each other. */
export function label(text: string, points: readonly Point[]): string {
  const to = points.at(-1);
  if (text === '' || to === undefined) return '';
  return `<text class="label" x="${round(to.x - PAD)}" y="${round(to.y - 4)}" text-anchor="end">${escaped(text)}</text>`;
}

export const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
