import { type Graph, isStage, type Plan, readsOf, type StagePlan, type Step } from '../plan/index.js';
import { traitsOf } from '../stages/traits.js';
import { type Link, layered, type Point, type Sized } from './layout.js';
import { readFieldsOf } from './reads.js';
import {
  conditionOf,
  DEFINES,
  insteadOf,
  lanesOf,
  linesOf,
  type Segments,
  servedLine,
  titleOf,
  toolNames,
  valueLabel,
} from './steps.js';
import {
  box,
  escaped,
  framed,
  type Line,
  label,
  line,
  move,
  type Picture,
  PORT,
  pill,
  STYLE,
  stacked,
  widthOfLabel,
  withOthers,
} from './svg-boxes.js';

const MARGIN = 24;

/** A plan as an SVG image, for light and dark backgrounds. Deterministic. */
export function svg(plan: Plan, segments: Segments): string {
  const picture = graphPicture(plan, segments, { ends: true });
  const [w, h] = [Math.ceil(picture.width + 2 * MARGIN), Math.ceil(picture.height + 2 * MARGIN)];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" role="img" aria-label="${escaped(plan.name)}">
<title>${escaped(plan.name)}</title>
<style>${STYLE}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>
<rect class="ground" width="${w}" height="${h}"/>
${move(picture.draw(picture.height), { x: MARGIN, y: MARGIN })}
</svg>
`;
}

/** @param ends draw the run's input and output as boxes; `defined`: what the enclosing step defines for the graph */
function graphPicture(
  graph: Graph,
  segments: Segments,
  { ends = false, defined = [] }: { ends?: boolean; defined?: readonly string[] } = {},
): Picture {
  const pictures: (Picture & { readonly id: string })[] = [];
  const sources = ends ? ['input'] : defined;
  for (const source of sources) pictures.push({ id: source, ...pill(source.slice(source.lastIndexOf('/') + 1)) });
  for (const group of segments.groupsOf(graph)) {
    const inline = group.some(segments.isInline);
    const [first] = group as [Step];
    pictures.push({ id: first.id, ...(inline ? segmentPicture(group) : stepPicture(first, segments)) });
  }
  if (ends) pictures.push({ id: 'output', ...pill('output') });
  const links = linksOf(graph, segments, { sources, ends });
  // Each link to a box has a place of its own at its side, with room for the label.
  const boxes = pictures.map(({ height, ...picture }) => {
    const arriving = links.filter(({ to }) => to === picture.id).length;
    return { ...picture, height: Math.max(height, arriving > 1 ? (arriving + 1) * PORT : 0) };
  });
  return drawn(boxes, links);
}

/**
 * Links between the boxes of a graph. Boxes are in the order of their first steps, after everything that they read: so no
 * link leads back.
 */
function linksOf(
  graph: Graph,
  segments: Segments,
  { sources, ends }: { readonly sources: readonly string[]; readonly ends: boolean },
): readonly Link[] {
  const links: Link[] = [];
  const groups = segments.groupsOf(graph);
  const boxOf = new Map<string, string>(sources.map((source) => [source, source]));
  for (const group of groups) for (const step of group) boxOf.set(step.id, group[0]?.id ?? step.id);
  for (const group of groups) {
    const [{ id }] = group as [Step];
    for (const [source, fields] of outsideReads(group)) {
      const from = boxOf.get(source);
      if (from !== undefined && from !== id) links.push({ from, to: id, label: [...fields].join(', ') });
    }
  }
  for (const [field, binding] of Object.entries(ends ? (graph.output as object) : {})) {
    for (const { source } of readFieldsOf(binding)) {
      const from = boxOf.get(source);
      if (from !== undefined) links.push({ from, to: 'output', label: field });
    }
  }
  return merged(links);
}

function drawn(boxes: readonly (Sized & Picture)[], links: readonly Link[]): Picture {
  const layout = layered(sorted(boxes, links), links, widthOfLabel);
  const { width, height } = layout;
  const lines = layout.paths.map(({ points }) => line(points));
  const labels = layout.paths.map(({ link, points }) => label(link.label, points));
  const placed = boxes.map((each) => move(each.draw(each.height), layout.at.get(each.id) as Point));
  return { width, height, draw: () => [...lines, ...placed, ...labels].join('\n') };
}

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

const MOST_LETTERS = 44;
const shortened = (text: string): string => (text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS - 1)}…` : text);

/** Merges links between the same boxes, with all their labels. */
function merged(links: readonly Link[]): Link[] {
  const all = new Map<string, Link & { readonly labels: readonly string[] }>();
  for (const each of links) {
    const key = JSON.stringify([each.from, each.to]);
    const labels = [...new Set([...(all.get(key)?.labels ?? []), ...each.label.split(', ')])].filter(Boolean);
    all.set(key, { ...each, labels });
  }
  return [...all.values()].map(({ labels, from, to }) => ({ from, to, label: shortened(labels.join(', ')) }));
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

const name = (text: string): Line => ({ text, style: 'name' });
const small = (text: string): Line => ({ text, style: 'small' });
const mark = (text: string): Line => ({ text, style: 'mark' });

const segmentPicture = (stages: readonly Step[]): Picture =>
  framed('segment', [mark('inline segment')], graphPicture({ stages, output: null }, ALONE));

function stepPicture(step: Step, segments: Segments): Picture {
  if (isStage(step)) return stagePicture(step);
  const lanes = lanesOf(step);
  if (lanes.length === 0)
    return box('stage', [name(step.id), small(`child run · ${titleOf(step).split(' · ').at(-1)}`)]);
  const pictures = lanes.map(([lane, graph]) => {
    const used = new Set(
      [...graph.stages.flatMap(deepReads), ...readFieldsOf(graph.output)].map(({ source }) => source),
    );
    const defined = (DEFINES[step.kind] ?? []).map((each) => `${step.id}/${each}`).filter((each) => used.has(each));
    const inner =
      graph.stages.length > 0
        ? graphPicture(graph, segments, { defined })
        : box('end', [name(shortened(valueLabel(graph)))]);
    return lane === '' ? inner : framed('lane', [small(lane)], inner);
  });
  const condition = conditionOf(step);
  const more = condition === undefined ? [] : linesOf(condition, MOST_LETTERS).map(small);
  return framed('group', [name(titleOf(step)), ...more], stacked(pictures));
}

/** Served by code instead of a model server. */
const BY_CODE: ReadonlySet<string | undefined> = new Set(['worker', 'temporal']);

function stagePicture(step: StagePlan): Picture {
  const person = step.kind === 'approve';
  const style = person ? 'person' : BY_CODE.has(traitsOf(step)?.servedBy) ? 'worker' : 'stage';
  const marks = [
    ...(toolNames(step).length > 0 ? [`tools: ${toolNames(step).join(', ')}`] : []),
    ...(step.cache ? ['cache'] : []),
    ...(step.policy.hedge ? ['hedged'] : []),
  ];
  const main = box(style, [
    name(step.id.slice(step.id.lastIndexOf('/') + 1)),
    ...linesOf(servedLine(step), MOST_LETTERS).map(small),
    ...linesOf(marks.join(' · '), MOST_LETTERS).map(mark),
  ]);
  const others = insteadOf(step);
  if (others.length === 0) return main;
  return withOthers(
    main,
    others.map(({ when, by }) => ({ when, picture: box('end', linesOf(by, MOST_LETTERS).map(small)) })),
  );
}
