import { type Graph, graphsOf, isStage, type Plan, type Step, streamsInto } from '../plan/index.js';
import { type FieldRead, readFieldsOf } from './reads.js';
import {
  conditionOf,
  DEFINES,
  insteadOf,
  lanesOf,
  type Segments,
  servedLine,
  titleOf,
  toolNames,
  valueLabel,
} from './steps.js';

/** The definition that receives the value read by the step itself. */
const ENTRY: Readonly<Record<string, string>> = { each: 'item', repeat: 'state', pipeline: 'input' };

/**
 * A plan as a Mermaid flowchart: stages with what serves them, control flow and inline segments as subgraphs, edges
 * labelled with the field read; a stream that is read while it is made is a thick one.
 */
export function mermaid(plan: Plan, { groupsOf, isInline }: Segments): string {
  const ids = new Ids();
  const lines: string[] = ['flowchart LR'];
  const edges: string[] = [];
  const read = new Set<string>();
  collect(plan, read);
  let segments = 0;

  const graph = (inner: Graph, indent: string): void => {
    for (const group of groupsOf(inner)) {
      const inline = group.some(isInline);
      if (inline) lines.push(`${indent}subgraph segment${++segments} ["inline segment"]`);
      for (const step of group) node(step, inline ? `${indent}  ` : indent);
      if (inline) lines.push(`${indent}end`);
    }
  };
  const node = (step: Step, indent: string): void => {
    const id = ids.of(step.id);
    if (isStage(step)) {
      lines.push(`${indent}${id}["${stageLabel(step)}"]`);
      for (const [i, { when, by }] of insteadOf(step).entries()) {
        const other = ids.of(`${step.id} else ${i + 1}`);
        lines.push(`${indent}${other}(["${quote(by)}"])`);
        edges.push(`${id} -. "${quote(when)}" .-> ${other}`);
      }
    } else if (step.kind === 'pipeline' && step.run === 'child') {
      lines.push(`${indent}${id}[["${quote(step.id)}<br/>child run · ${quote(step.plan.name)}"]]`);
    } else {
      const title = [titleOf(step), conditionOf(step)].filter((part) => part !== undefined).join(' · ');
      lines.push(`${indent}subgraph ${id} ["${quote(title)}"]`);
      for (const name of DEFINES[step.kind] ?? []) {
        const defined = `${step.id}/${name}`;
        if (read.has(defined) || ENTRY[step.kind] === name) lines.push(`${indent}  ${ids.of(defined)}(["${name}"])`);
      }
      for (const [label, inner] of lanesOf(step)) {
        const lane = label === '' ? '' : `${id}_${label.replace(/[^a-z0-9]/g, '_')}`;
        if (lane !== '') lines.push(`${indent}  subgraph ${lane} ["${quote(label)}"]`);
        graph(inner, lane === '' ? `${indent}  ` : `${indent}    `);
        if (inner.stages.length === 0) {
          const value = `${lane || id}_value`;
          lines.push(`${indent}  ${value}["${quote(valueLabel(inner))}"]`);
          for (const each of readFieldsOf(inner.output)) edges.push(edge(ids, { ...each, field: '' }, value));
        }
        if (lane !== '') lines.push(`${indent}  end`);
      }
      lines.push(`${indent}end`);
    }
    const entry = ENTRY[step.kind];
    const own = !isStage(step) && !(step.kind === 'pipeline' && step.run === 'child') && entry !== undefined;
    for (const each of readFieldsOf(step)) {
      if (each.source.startsWith(`${step.id}/`)) continue;
      const of = streamsInto(step).find(({ from }) => from === each.source)?.of;
      // The field is what the stream is when it is whole: `text`, of an agent `said.text`.
      const stream = of === undefined ? undefined : [...each.field.split('.').slice(0, -1), of].join('.');
      edges.push(edge(ids, each, own ? ids.of(`${step.id}/${entry}`) : id, stream));
    }
  };

  lines.push(`  ${ids.of('input')}(["input"])`);
  graph(plan, '  ');
  lines.push(`  ${ids.of('output')}(["output"])`);
  for (const [field, binding] of Object.entries(plan.output as object)) {
    for (const each of readFieldsOf(binding)) edges.push(edge(ids, { ...each, field }, ids.of('output')));
  }
  return `${[...lines, ...[...new Set(edges)].map((line) => `  ${line}`)].join('\n')}\n`;
}

/** @param stream of the source, if it is read while it is made: the line is thick */
function edge(ids: Ids, { source, field }: FieldRead, to: string, stream?: string): string {
  if (stream !== undefined) return `${ids.of(source)} == "${quote(stream)}" ==> ${to}`;
  return field === '' ? `${ids.of(source)} --> ${to}` : `${ids.of(source)} -- "${quote(field)}" --> ${to}`;
}

function collect(graph: Graph, read: Set<string>): void {
  for (const { source } of readFieldsOf(graph.output)) read.add(source);
  for (const step of graph.stages) {
    for (const { source } of readFieldsOf(step)) read.add(source);
    for (const inner of graphsOf(step)) collect(inner, read);
  }
}

function stageLabel(step: Extract<Step, { policy: unknown }>): string {
  const more = [
    ...(toolNames(step).length > 0 ? [`tools: ${toolNames(step).join(', ')}`] : []),
    ...(step.cache ? ['cache'] : []),
    ...(step.policy.hedge ? ['hedged'] : []),
  ];
  return [step.id, servedLine(step), ...(more.length > 0 ? [more.join(' · ')] : [])].map(quote).join('<br/>');
}

/** Mermaid reads `#` as the start of a character code. */
const quote = (text: string): string =>
  text.replaceAll('#', '#35;').replaceAll('"', '#quot;').replaceAll('<', '#lt;').replaceAll('>', '#gt;');

/** Node ids: Mermaid allows few characters and reserves some words. */
class Ids {
  readonly #ids = new Map<string, string>();
  readonly #taken = new Set<string>();

  of(name: string): string {
    const before = this.#ids.get(name);
    if (before !== undefined) return before;
    const plain = `s_${name.replace(/[^a-z0-9]/g, '_')}`;
    let id = plain;
    for (let n = 2; this.#taken.has(id); n++) id = `${plain}_${n}`;
    this.#taken.add(id);
    this.#ids.set(name, id);
    return id;
  }
}
