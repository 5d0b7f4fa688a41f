import { isJsonObject, type Json, type JsonObject } from '../json.js';
import { agentOf } from '../plan/index.js';
import type { Candidate, Explained, ExplainedStage, Valued } from './explain.js';
import { spell } from './spell.js';

/**
 * An explanation for a terminal: plain text, one paragraph per stage.
 * @param all also the values of policies that are defaults
 */
export function explanationText(explained: Explained, { all = false }: { readonly all?: boolean } = {}): string {
  const {
    pipeline,
    version,
    planVersion,
    deadlineMs,
    reservedMs,
    worstCalls,
    children,
    overStreams,
    segments,
    output,
  } = explained;
  const head = [
    `pipeline ${pipeline}, version ${version}, plan format ${planVersion}`,
    `  deadline     ${spell(deadlineMs)}${reservedMs > 0 ? `, of which the stages in sequence reserve ${spell(reservedMs)}` : ''}`,
    `  model calls  ${worstCalls} at most; stages in loops count once`,
    ...children.map(
      ({ id, pipeline, deadlineMs }) =>
        `  child run    ${id}: pipeline ${pipeline}, deadline ${spell(deadlineMs)}, explained on its own`,
    ),
    ...overStreams.map((each) => `  each         ${each.id}: items from ${each.source}, ${overStreamText(each)}`),
    ...segments.map(
      (stages, i) => `  segment ${i + 1}    ${stages.join(', ')}: together in the worker, with a journal`,
    ),
  ];
  const foot = [
    'output',
    ...Object.entries(output).map(([field, reads]) => `  ${field}  from ${reads.join(', ') || 'a constant'}`),
  ];
  if (!all) foot.push('', 'Defaults are not shown; --all shows them.');
  return [head, ...explained.stages.map((stage) => stageText(stage, all)), foot]
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function overStreamText({ collected, runs, values }: Explained['overStreams'][number]): string {
  if (collected !== undefined) return `when it has ended: ${collected}`;
  if (runs === 'worker') return 'while it is made, in the worker';
  return `while it is made, by the workflow: its history has ${values ? 'the entries, which its body computes with' : 'their places'}`;
}

/** Values that are neither a default nor the consequence of one. */
function chosen(policy: readonly Valued[]): readonly Valued[] {
  const own = new Set(policy.filter(({ from }) => from === 'author').map(({ option }) => option));
  return policy.filter(({ option, from }) => own.has(option) || own.has(from.replace('follows ', '')));
}

function stageText(stage: ExplainedStage, all: boolean): string[] {
  const { id, kind, within, reads, streams = [], candidates, cache, leavesMs, reserveMs, segment, worst } = stage;
  const once = within.some((step) => /^(each|repeat) /.test(step)) ? ' for each item or round' : '';
  const policy = all ? stage.policy : chosen(stage.policy);
  const widest = Math.max(...policy.map(({ option }) => option.length), 0);
  const values = policy.map((each) => `    ${each.option.padEnd(widest)}  ${valueText(each).padEnd(12)}  ${each.from}`);
  return [
    `stage ${id} (${kind})${within.length > 0 ? `, within ${within.join(' › ')}` : ''}`,
    `  reads        ${reads.join(', ') || 'nothing'}`,
    ...streams.map(
      ({ field, source, collected }) =>
        `  stream       ${field} from ${source}, ${collected === undefined ? 'while it is made' : `when it has ended: ${collected}`}`,
    ),
    ...candidates.flatMap((each) => [candidateText(each), ...toolTexts(each)]),
    ...(policy.length > 0 ? ['  policy', ...values] : []),
    ...(cache || all ? [`  cache        ${cache ? cacheText(cache) : 'none'}`] : []),
    ...verifierTexts(cache),
    ...(segment === undefined ? [] : [`  segment      ${segment}`]),
    ...(reserveMs === undefined ? [] : [`  reserve      ${spell(reserveMs)}`]),
    ...(leavesMs > 0 ? [`  leaves       ${spell(leavesMs)} of the deadline for the stages after it`] : []),
    `  worst case   ${worst.calls} ${worst.calls === 1 ? 'call' : 'calls'}, ${spell(worst.ms)}${once}`,
  ];
}

/** Options that are too long to be shown, by kind. */
const LONG: Readonly<Record<string, readonly string[]>> = {
  agent: ['tools'],
  activity: ['input', 'output'],
  workflow: ['input', 'output'],
};

function candidateText({ role, kind, model, with: options, placed }: Candidate): string {
  const label = role === 'first' ? 'served by' : role;
  if (kind === 'skip') return `  ${label.padEnd(12)} nothing: its output is null`;
  const where = placed === undefined ? 'no pool serves it' : placeText(placed);
  const hidden = LONG[kind] ?? [];
  const shown = Object.fromEntries(Object.entries(options).filter(([option]) => !hidden.includes(option)));
  const given = Object.keys(shown).length > 0 ? ` ${JSON.stringify(shown)}` : '';
  return `  ${label.padEnd(12)} ${model} (${where})${given}`;
}

const placeText = ({ connector, device, microBatch, onDemand, extra }: NonNullable<Candidate['placed']>): string =>
  [
    `${connector} @${device}`,
    ...(microBatch ? [`in batches of up to ${microBatch.most} texts within ${microBatch.waitMs} ms`] : []),
    ...(onDemand ? ['loaded on demand'] : []),
    ...(extra ? [`requests with ${JSON.stringify(extra)}`] : []),
  ].join(', ');

/** The tools of an agent: what executes each, under which policy, and whether a person approves. */
function toolTexts({ kind, model, with: options }: Candidate): string[] {
  if (kind !== 'agent') return [];
  return agentOf({ with: options }).tools.map((tool) => {
    const { name, policy, approval, onFailure } = tool;
    const { retry, timeout } = policy;
    const by = tool.by === 'pipeline' ? `a run of ${tool.plan.name}` : `${tool.kind} · ${tool.model}`;
    const attempts = `${retry.attempts} ${retry.attempts === 1 ? 'attempt' : 'attempts'} of ${spell(timeout.attemptMs)}`;
    const approvalText =
      approval && `a person decides within ${spell(approval.timeoutMs)}, else ${approval.otherwise ? 'yes' : 'no'}`;
    const more = [approvalText, onFailure === 'fail' && 'its failure ends the agent']
      .filter(Boolean)
      .map((each) => `, ${each}`);
    return `    tool ${name} for ${model}: ${by}, ${attempts}, ${spell(timeout.totalMs)} in all${more.join('')}`;
  });
}

const TIMES = /^(timeout\.|patience$|retry\.backoff\.(initial|max))/;
function valueText({ option, value }: Valued): string {
  if (typeof value === 'number') return TIMES.test(option) ? spell(value) : String(value);
  if (option === 'hedge') return hedgeText(value as JsonObject);
  return Array.isArray(value) ? value.join(', ') : String(value);
}

const hedgeText = ({ afterMs, percentile }: JsonObject): string =>
  typeof afterMs === 'number' ? `after ${spell(afterMs)}` : `after the ${String(percentile)}th percentile`;

const cacheText = ({ kind, ttlMs, minSimilarity, embedder, negativeMs }: JsonObject): string =>
  kind === 'exact'
    ? `exact, for ${spell(Number(ttlMs))}${negativeMs === undefined ? '' : `, failures for ${spell(Number(negativeMs))}`}; a hit makes no call`
    : `semantic, for ${spell(Number(ttlMs))}, similarity ${number(minSimilarity)} by ${String(embedder)}; a hit calls no model`;
const number = (value: Json | undefined): string => String(value);

/** What a served verifier costs: its calls, and how long a lookup waits for one. */
function verifierTexts({ verifier }: JsonObject = {}): string[] {
  if (!isJsonObject(verifier)) return [];
  const { entailment, timeoutMs } = verifier;
  const most = `at most ${spell(Number(timeoutMs))}`;
  return [`  verifier     ${String(entailment)}, one call of two pairs for a text near a cached one, ${most}`];
}
