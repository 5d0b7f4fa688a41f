import type { Json, JsonObject } from '../json.js';
import { type Binding, sourcesOf } from '../plan/binding.js';
import { allSteps, type Graph, type Plan, type Step } from '../plan/plan.js';
import { readsOf } from '../plan/reads.js';
import { reservedAfter } from '../plan/reserve.js';
import { isOneSegment } from '../plan/segments.js';
import { streamsInto } from '../plan/streams.js';
import type { RunContext } from './run-context.js';
import type { Segment } from './segment.js';
import { rowsAtStart } from './stage-rows.js';
import { wanted } from './wanted.js';

/** Inputs for building a segment. */
export interface SegmentParts {
  readonly context: RunContext;
  /** The graph that contains the steps. */
  readonly graph: Graph;
  /** All steps of the segment, in the graph's order. */
  readonly steps: readonly Step[];
  /** The steps that have not ended. */
  readonly todo: readonly [Step, ...Step[]];
  readonly prefix: string;
  readonly scope: JsonObject;
  /** Entries of channels that its steps read. */
  readonly held?: Segment['held'] | undefined;
  readonly leftMs: number;
  /** Milliseconds that a step leaves for later ones. */
  reservedFor(step: string): number;
  /** Set if the segment is the whole run and a caller waits for the result. */
  readonly answer?: Segment['answer'];
  /** Set if a fast host runs it: name of its journal. */
  readonly guarded?: string;
}

export function buildSegment(parts: SegmentParts): Segment {
  const { context, graph, steps, todo, prefix, scope, held, leftMs, answer, guarded } = parts;
  const stages = [...allSteps({ stages: todo, output: null })].map(({ id }) => id);
  return {
    path: `${prefix}${steps[0]?.id ?? ''}`,
    prefix,
    steps: todo,
    scope,
    ...(held && { held }),
    wanted: readOutside(graph, steps),
    context: contextOf(context, new Set(stages)),
    leftMs,
    reserved: Object.fromEntries(
      stages.map((id) => [id, parts.reservedFor(id)] as const).filter(([, reserved]) => reserved > 0),
    ),
    ...(answer && { answer }),
    ...(guarded !== undefined && { guarded }),
  };
}

/**
 * Builds a run that is one segment, with the result as its answer; undefined for a run of more than one segment. A pure
 * function of the run, so that the gateway and the guardian build the same segment. Throws a `StageError` for requested
 * output fields that the plan lacks.
 */
export function wholeRun(input: JsonObject, context: RunContext): Segment | undefined {
  const { plan, outputs, answerTo } = context;
  const graph = wantedGraph(plan, outputs);
  if (!isOneSegment(graph)) return undefined;
  const [first, ...others] = graph.stages;
  if (first === undefined) return undefined;
  const reserved = reservedAfter(graph);
  const reads = readsOfAll(graph.stages, graph.output);
  return buildSegment({
    context,
    graph,
    steps: graph.stages,
    todo: [first, ...others],
    prefix: '',
    scope: reads.includes('input') ? { input } : {},
    leftMs: plan.deadlineMs,
    reservedFor: (step) => reserved.get(step) ?? 0,
    ...(answerTo !== undefined && {
      answer: {
        to: answerTo,
        output: graph.output,
        ...(outputs && { table: rowsAtStart(plan, context.placement) }),
      },
    }),
    ...(context.guarded !== undefined && { guarded: context.guarded }),
  });
}

/**
 * The subgraph for the requested outputs. Returns the same object for the same fields, so that caches keyed by it hit.
 */
export function wantedGraph(plan: Plan, outputs: readonly string[] | undefined): Graph {
  if (outputs === undefined) return plan;
  const graphs = known.get(plan) ?? new Map<string, Graph>();
  known.set(plan, graphs);
  const key = JSON.stringify(outputs);
  const before = graphs.get(key);
  if (before) return before;
  const { output, steps } = wanted(plan, outputs);
  const graph = { stages: withoutUnread(plan.stages.filter(({ id }) => steps.has(id))), output };
  if (graphs.size >= MOST_KNOWN) graphs.clear();
  graphs.set(key, graph);
  return graph;
}

/** Streams that no step reads are not written, but audio, which callers hear, or something reads as a list. */
function withoutUnread(steps: readonly Step[]): readonly Step[] {
  const read = new Set(steps.flatMap(streamsInto).map(({ from }) => from));
  return steps.map((step) => {
    if (!('streamed' in step) || step.streamed === undefined || read.has(step.id)) return step;
    const { streamed, ...whole } = step;
    const spoken = streamed.filter((of) => of === 'chunks' || of === 'pieces');
    return spoken.length > 0 ? { ...whole, streamed: spoken } : whole;
  });
}

/** Cache limit: callers choose the fields, and a plan with ten has a thousand combinations. */
const MOST_KNOWN = 64;
const known = new WeakMap<Plan, Map<string, Graph>>();

/** Sources that steps, and an output of theirs, read from earlier steps. */
export function readsOfAll(steps: readonly Step[], output: Binding = null): string[] {
  const reads = new Set([...steps.flatMap(readsOf), ...sourcesOf(output)]);
  for (const { id } of steps) reads.delete(id);
  return [...reads];
}

/** The segment's steps whose values are read outside it. */
function readOutside(graph: Graph, steps: readonly Step[]): string[] {
  const own = new Set(steps);
  const others = graph.stages.filter((step) => !own.has(step)).flatMap(readsOf);
  const read = new Set([...others, ...sourcesOf(graph.output as Json)]);
  return steps.map(({ id }) => id).filter((id) => read.has(id));
}

/** The part of the run's context that the segment needs. */
function contextOf(context: RunContext, stages: ReadonlySet<string>): Segment['context'] {
  const { plan, placement, tenant, sessionsOf, priority, trace, events, runMs, sealed, streamTag, keyTag } = context;
  const rows = Object.entries(placement).filter(([key]) => stages.has(key.split('~', 1)[0] as string));
  return {
    plan: { ...plan, stages: [], output: null },
    placement: Object.fromEntries(rows),
    tenant,
    ...(sessionsOf !== undefined && { sessionsOf }),
    ...(priority && { priority }),
    ...(trace !== undefined && { trace }),
    ...(events && { events }),
    ...(runMs !== undefined && { runMs }),
    ...(sealed && { sealed }),
    ...(streamTag !== undefined && { streamTag }),
    ...(keyTag !== undefined && { keyTag }),
  };
}
