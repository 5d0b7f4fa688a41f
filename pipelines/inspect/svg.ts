import { type Graph, isStage, type Plan, readsOf, type Step } from '../plan/index.js';
import { traitsOf } from '../stages/traits.js';
import { type Layout, type Link, layered, type Point, type Sized } from './layout.js';
import { readFieldsOf } from './reads.js';
import { DEFINES, lanesOf, type Segments, servedLine, titleOf, toolNames, valueLabel } from './steps.js';

/** Sizes in px for a system sans-serif font: widths are a little above the mean so that text stays in its box. */
const TEXT = { size: 13, width: 7.6 } as const;
const SMALL = { size: 11, width: 6.4 } as const;
const PAD = 12;
const LINE = 17;
const HEAD = 28;
const MARGIN = 24;

const widthOfLabel = (text: string): number => text.length * SMALL.width;

/** Colours for both themes; text contrast is at least 4.5 to 1. */
const STYLE = `
  .ground{fill:#fff}.stage{fill:#f4f6fb;stroke:#5b6b8c}.worker{fill:#eef7f0;stroke:#4f7f5f}.person{fill:#fdf3e4;stroke:#9a6a1c}
  .group{fill:none;stroke:#8a94a6}.lane{fill:none;stroke:#b6bdca;stroke-dasharray:3 3}.segment{fill:#2f6fed14;stroke:#2f6fed;stroke-dasharray:6 4}
  .end{fill:#e7ebf3;stroke:#5b6b8c}.line{fill:none;stroke:#5b6b8c;stroke-width:1.4}.tip{fill:#5b6b8c}
  text{fill:#1d2433;font:${TEXT.size}px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}.name{font-weight:600}
  .small{font-size:${SMALL.size}px;fill:#4a556b}.label{font-size:${SMALL.size}px;fill:#4a556b;paint-order:stroke;stroke:#fff;stroke-width:4px}
  .mark{font-size:${SMALL.size}px;fill:#1f56c4}
  @media (prefers-color-scheme:dark){
    .ground{fill:#12161f}.stage{fill:#1e2635;stroke:#8fa0c4}.worker{fill:#1a2a20;stroke:#7fb892}.person{fill:#2e2414;stroke:#d6a757}
    .group{stroke:#76819a}.lane{stroke:#4b566d}.segment{fill:#5b8dff1f;stroke:#7aa2ff}.end{fill:#2a3347;stroke:#8fa0c4}
    .line{stroke:#8fa0c4}.tip{fill:#8fa0c4}text{fill:#e8ecf5}.small{fill:#b4bfd4}.label{fill:#b4bfd4;stroke:#12161f}.mark{fill:#9dbbff}
  }`;

/** A drawn element: its size, and its SVG with the upper left corner at (0, 0). */
interface Picture {
  readonly width: number;
  readonly height: number;
  readonly svg: string;
}

/** A plan as an SVG image, for light and dark backgrounds. Deterministic. */
export function svg(plan: Plan, segments: Segments): string {
  const { width, height, svg } = graphPicture(plan, segments, { ends: true });
  const [w, h] = [Math.ceil(width + 2 * MARGIN), Math.ceil(height + 2 * MARGIN)];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" role="img" aria-label="${escaped(plan.name)}">
<title>${escaped(plan.name)}</title>
<style>${STYLE}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>
<rect class="ground" width="${w}" height="${h}"/>
${move(svg, { x: MARGIN, y: MARGIN })}
</svg>
`;
}

/** @param ends draw the run's input and output as boxes; `defined`: what the enclosing step defines for the graph */
function graphPicture(
  graph: Graph,
  segments: Segments,
  { ends = false, defined = [] }: { ends?: boolean; defined?: readonly string[] } = {},
): Picture {
  const boxes: (Sized & { readonly svg: string })[] = [];
  const links: Link[] = [];
  const link = (from: string, to: string, label: string) => links.push({ from, to, label });
  const sources = ends ? ['input'] : defined;
  for (const source of sources) boxes.push({ id: source, ...pill(source.slice(source.lastIndexOf('/') + 1)) });
  const boxOf = new Map<string, string>(sources.map((source) => [source, source]));
  for (const group of segments.groupsOf(graph)) {
    const inline = group.some(segments.isInline);
    const picture = inline ? segmentPicture(group) : stepPicture(group[0] as Step, segments);
    const [{ id }] = group as [Step];
    for (const step of group) boxOf.set(step.id, id);
    boxes.push({ id, ...picture });
  }
  // Boxes are in the order of their first steps, after everything that they read: so no link leads back.
  for (const group of segments.groupsOf(graph)) {
    const [{ id }] = group as [Step];
    for (const [source, fields] of outsideReads(group)) {
      const from = boxOf.get(source);
      if (from !== undefined && from !== id) link(from, id, [...fields].join(', '));
    }
  }
  if (ends) {
    boxes.push({ id: 'output', ...pill('output') });
    const fields = new Map<string, string[]>();
    for (const [field, binding] of Object.entries(graph.output as object)) {
      for (const { source } of readFieldsOf(binding)) {
        const from = boxOf.get(source);
        if (from !== undefined) fields.set(from, [...new Set([...(fields.get(from) ?? []), field])]);
      }
    }
    for (const [from, names] of fields) link(from, 'output', names.join(', '));
  }
  return drawn(boxes, merged(links));
}

function drawn(boxes: readonly (Sized & { readonly svg: string })[], links: readonly Link[]): Picture {
  const layout = layered(sorted(boxes, links), links, widthOfLabel);
  const lines = layout.paths.map(({ points }) => line(points));
  const labels = layout.paths.map(({ link, points }) => label(link, points));
  const placed = boxes.map(({ id, svg }) => move(svg, layout.at.get(id) as Point));
  return { ...sizeOf(layout), svg: [...lines, ...placed, ...labels].join('\n') };
}

const sizeOf = ({ width, height }: Layout) => ({ width, height });

/** Sorts boxes so that each comes after the boxes that link to it. */
function sorted<T extends Sized>(boxes: readonly T[], links: readonly Link[]): T[] {
  const done: T[] = [];
  const left = [...boxes];
  while (left.length > 0) {
    const free = left.findIndex(
      ({ id }) => !links.some(({ from, to }) => to === id && left.some((box) => box.id === from)),
    );
    done.push(...left.splice(Math.max(0, free), 1));
  }
  return done;
}

/** Merges links between the same boxes, with all their labels. */
function merged(links: readonly Link[]): Link[] {
  const all = new Map<string, Link>();
  for (const each of links) {
    const key = JSON.stringify([each.from, each.to]);
    const before = all.get(key);
    const labels = [...new Set([...(before?.label.split(', ') ?? []), ...each.label.split(', ')])].filter(Boolean);
    all.set(key, { ...each, label: labels.join(', ') });
  }
  return [...all.values()];
}

/** What the steps of a group and their inner graphs read from outside: fields by source. */
function outsideReads(group: readonly Step[]): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  const own = new Set(group.map(({ id }) => id));
  for (const step of group) {
    for (const source of readsOf(step)) if (!own.has(source) && !found.has(source)) found.set(source, new Set());
    for (const { source, field } of deepReads(step)) if (field !== '') found.get(source)?.add(field);
  }
  return found;
}

const deepReads = (step: Step): ReturnType<typeof readFieldsOf> => [
  ...readFieldsOf(step),
  ...lanesOf(step).flatMap(([, graph]) => [...graph.stages.flatMap(deepReads), ...readFieldsOf(graph.output)]),
];

/** Segments are not nested: inside one, each step is on its own. */
const ALONE: Segments = { groupsOf: ({ stages }) => stages.map((step) => [step]), isInline: () => false };

const segmentPicture = (stages: readonly Step[]): Picture =>
  framed('segment', 'inline segment', graphPicture({ stages, output: null }, ALONE), 'mark');

function stepPicture(step: Step, segments: Segments): Picture {
  if (isStage(step)) return stagePicture(step);
  const lanes = lanesOf(step);
  if (lanes.length === 0) return box('stage', [step.id, `child run · ${titleOf(step).split(' · ').at(-1)}`]);
  const pictures = lanes.map(([name, graph]) => {
    const used = new Set(
      [...graph.stages.flatMap(deepReads), ...readFieldsOf(graph.output)].map(({ source }) => source),
    );
    const defined = (DEFINES[step.kind] ?? []).map((each) => `${step.id}/${each}`).filter((each) => used.has(each));
    const inner =
      graph.stages.length > 0 ? graphPicture(graph, segments, { defined }) : box('end', [shortened(valueLabel(graph))]);
    return name === '' ? inner : framed('lane', name, inner, 'small');
  });
  const width = Math.max(...pictures.map((picture) => picture.width));
  let y = 0;
  const stacked = pictures.map((picture) => {
    const svg = move(picture.svg, { x: 0, y });
    y += picture.height + PAD;
    return svg;
  });
  return framed('group', titleOf(step), { width, height: y - PAD, svg: stacked.join('\n') }, 'name');
}

const MOST_LETTERS = 44;
const shortened = (text: string): string => (text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS - 1)}…` : text);

/** Served by code instead of a model server. */
const BY_CODE: ReadonlySet<string | undefined> = new Set(['worker', 'temporal']);

function stagePicture(step: Extract<Step, { policy: unknown }>): Picture {
  const marks = [
    ...(toolNames(step).length > 0 ? [`tools: ${toolNames(step).join(', ')}`] : []),
    ...(step.cache ? ['cache'] : []),
    ...(step.fallback ?? []).map((to) => (to === 'skip' ? 'else nothing' : `else ${to.model}`)),
    ...(step.degrade?.length ? ['degrades'] : []),
    ...(step.policy.hedge ? ['hedged'] : []),
  ];
  const style = step.kind === 'approve' ? 'person' : BY_CODE.has(traitsOf(step)?.servedBy) ? 'worker' : 'stage';
  const id = step.id.slice(step.id.lastIndexOf('/') + 1);
  return box(style, [id, servedLine(step)], marks.length > 0 ? shortened(marks.join(' · ')) : undefined);
}

function box(style: string, [name = '', ...more]: readonly string[], mark?: string): Picture {
  const lines = [...more, ...(mark === undefined ? [] : [mark])];
  const width = Math.ceil(
    Math.max(name.length * TEXT.width, ...lines.map((text) => text.length * SMALL.width)) + 2 * PAD,
  );
  const height = LINE * (lines.length + 1) + PAD;
  const texts = lines.map(
    (text, i) =>
      `<text class="${text === mark ? 'mark' : 'small'}" x="${width / 2}" y="${LINE * (i + 2)}" text-anchor="middle">${escaped(text)}</text>`,
  );
  const rect = `<rect class="${style}" width="${width}" height="${height}" rx="6"/>`;
  const head = `<text class="name" x="${width / 2}" y="${LINE + 2}" text-anchor="middle">${escaped(name)}</text>`;
  return { width, height, svg: [rect, head, ...texts].join('') };
}

function pill(text: string): Picture {
  const [width, height] = [Math.ceil(text.length * TEXT.width + 2 * PAD), 28];
  const rect = `<rect class="end" width="${width}" height="${height}" rx="14"/>`;
  const name = `<text x="${width / 2}" y="18.5" text-anchor="middle">${escaped(text)}</text>`;
  return { width, height, svg: rect + name };
}

function framed(style: string, title: string, inner: Picture, of: string): Picture {
  const width = Math.ceil(Math.max(inner.width, title.length * TEXT.width) + 2 * PAD);
  const height = Math.ceil(inner.height + HEAD + PAD);
  const rect = `<rect class="${style}" width="${width}" height="${height}" rx="10"/>`;
  const head = `<text class="${of}" x="${PAD}" y="19">${escaped(title)}</text>`;
  return { width, height, svg: `${rect}${head}${move(inner.svg, { x: (width - inner.width) / 2, y: HEAD })}` };
}

const round = (n: number): number => Math.round(n * 10) / 10;
const move = (svg: string, { x, y }: Point): string => `<g transform="translate(${round(x)} ${round(y)})">${svg}</g>`;

/** Curved between two columns, straight within one. */
function line(points: readonly Point[]): string {
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

/** Placed in the last gap, where lines to the same box are apart from each other. */
function label({ label: text }: Link, points: readonly Point[]): string {
  const [from, to] = points.slice(-2) as [Point, Point];
  if (text === '') return '';
  const x = round((from.x + to.x) / 2);
  const y = round((from.y + to.y) / 2 - 5);
  return `<text class="label" x="${x}" y="${y}" text-anchor="middle">${escaped(text)}</text>`;
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
