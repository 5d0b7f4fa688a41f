import { makeLoad, makePlacement } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { percentile } from '../../../placement/simulator/index.js';
import { readTrace } from '../../../placement/trace/index.js';
import { readPipelineShape } from '../../../placement/workload/index.js';
import { judgedBy, type OracleProfile } from '../../../test/oracle/placement-oracle.js';
import { parseOptions } from '../../options.js';
import { comparedCells, type PublicCell, publicCells } from './cells.js';

/** Ratio of cost to bound up to which a plan counts as proven. */
const NEAR = 1.2;

/**
 * `npm run bench:placement-public -- --files FOLDER [--cells cells.json] [--only TEXT] [--seconds 10] [--batch-delay 0] [--json]`: plans on public
 * traces and profiles in a folder (it downloads nothing), and judges each plan by a second simulator. Files, as published:
 * AzureLLMInferenceTrace_conv.csv and _code.csv, Mooncake's conversation_trace.jsonl, Proteus' aggregate_profiled.csv, MuxServe's
 * llama.json. With `--batch-delay 0.45` batches may wait to fill, for up to this share of the objective. `--cells` names a list of cells with their objectives and the costs of another search: these alone are planned.
 */
const { values } = parseOptions({
  options: {
    files: { type: 'string' },
    cells: { type: 'string' },
    only: { type: 'string', default: '' },
    seconds: { type: 'string', default: '10' },
    'batch-delay': { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
});
/** The clock's last reading, of `processorMs`. */
let readAt = Number.NEGATIVE_INFINITY;
let readMs = 0;

if (values.files === undefined) throw new Error('pass --files: the folder with the public files');
const found = publicCells(values.files);
const { missing } = found;
const cells = values.cells === undefined ? found.cells : comparedCells(found.cells, values.cells);
if (missing.length > 0) process.stderr.write(`not in ${values.files}: ${missing.join(', ')}\n`);

const rows = cells
  .filter(({ name }) => name.includes(values.only))
  .map((cell) => {
    const row = judged(cell, 1000 * Number(values.seconds));
    process.stderr.write(`${JSON.stringify(row)}\n`);
    return row;
  });
if (values.json) process.stdout.write(`${JSON.stringify({ rows })}\n`);
else {
  const head = [
    'workload',
    'objective ms',
    'cost',
    'bound',
    'cost / bound',
    'promised p99',
    'judged p99',
    'off',
    'kept',
    'refused',
    'in prefix caches',
    'other search',
  ];
  const line = (of: readonly unknown[]) => `| ${of.join(' | ')} |`;
  const lines = rows.map((row) =>
    'problem' in row
      ? line([row.name, row.p99Ms, row.problem, '', '', '', '', '', '', '', '', row.other ?? ''])
      : line([
          row.name,
          row.p99Ms,
          row.cost,
          row.bound,
          row.ratio,
          row.promised,
          row.judged,
          `${row.off} %`,
          row.kept,
          `${row.refused} %`,
          row.cached === undefined ? '' : `${row.cached} %`,
          row.other ?? '',
        ]),
  );
  process.stdout.write(`${[line(head), line(head.map(() => '---')), ...lines].join('\n')}\n\n${summary()}\n`);
}

/** How many plans are known to cost at most a fifth more than any, and how many cost less than those of another search. */
function summary(): string {
  const planned = rows.flatMap(({ cost, bound, other }) =>
    cost === undefined || bound === undefined ? [] : [{ cost, bound, other }],
  );
  const near = planned.filter(({ cost, bound }) => cost <= bound * NEAR + 1e-9).length;
  const against = planned.flatMap(({ cost, other }) => (other === undefined ? [] : [Math.sign(cost - other)]));
  const times = (sign: number) => against.filter((each) => each === sign).length;
  const compared = `; cheaper than the other search ${times(-1)}, equal ${times(0)}, dearer ${times(1)}`;
  return `${near} of ${rows.length} within 20 % of the bound${against.length > 0 ? compared : ''}`;
}

function judged(cell: PublicCell, timeLimitMs: number) {
  const { name, p99Ms, other, affinity } = cell;
  const start = process.cpuUsage();
  try {
    const trace = readTrace(cell.trace);
    const load = makeLoad([{ trace }], p99Ms, 1);
    const inventory = readInventory(cell.cluster);
    const input = {
      pipelines: [readPipelineShape(cell.pipeline, 'pipeline.json')],
      inventory,
      profiles: readProfiles(cell.profiles.map((each, i) => ({ file: `${i}.json`, text: JSON.stringify(each) }))),
      load,
      objective: { p99Ms },
      batchDelayMs: Number(values['batch-delay']) * p99Ms,
      ...(affinity && {
        affinity: Object.fromEntries(modelsOf(cell).map((model) => [model, { affinity, by: 'option' as const }])),
      }),
    };
    const plan = makePlacement(input, { objective: 'cost', timeLimitMs, clock: processorMs });
    const { user, system } = process.cpuUsage(start);
    // Runs that fit no device are not in the plan; the oracle's latency of them is infinite, and they are left out.
    const latency = judgedBy({
      stages: JSON.parse(cell.pipeline).stages,
      pools: plan.pools.map((pool) => ({
        ...pool,
        ...(affinity && { routing: affinity === 'prefix' ? ('aware' as const) : ('unaware' as const) }),
      })),
      profiles: readAsOracle(cell),
      devices: inventory.devices,
      timesMs: load.timesMs,
      sizes: load.sizes,
      seed: 1,
    });
    const gone = Math.round(plan.refusedShare * latency.length);
    const sorted = latency
      .slice()
      .sort()
      .slice(0, latency.length - gone);
    const p99 = percentile(sorted, 0.99);
    return {
      name,
      p99Ms,
      cost: plan.costPerHour,
      bound: Number(plan.bound.toFixed(2)),
      ratio: Number((plan.costPerHour / plan.bound).toFixed(2)),
      promised: Math.round(plan.predicted.p99Ms),
      judged: Math.round(p99),
      off: Number((100 * (plan.predicted.p99Ms / p99 - 1)).toFixed(1)),
      kept: p99 <= p99Ms * 1.005 ? 'yes' : 'no',
      refused: Number((100 * plan.refusedShare).toFixed(2)),
      cached: plan.pools.flatMap(({ prefixCache }) =>
        prefixCache ? [Number((100 * prefixCache.share).toFixed(1))] : [],
      )[0],
      cpuSeconds: Number(((user + system) / 1e6).toFixed(1)),
      warnings: plan.warnings,
      other,
    };
  } catch (error) {
    return { name, p99Ms, other, problem: error instanceof Error ? error.message.slice(0, 160) : String(error) };
  }
}

function modelsOf({ profiles }: PublicCell): readonly string[] {
  return [...new Set(profiles.map(({ model }) => model))];
}

/** Time of the processor: what else runs on the machine does not matter. To read it takes so long that it is read once a millisecond. */
function processorMs(): number {
  const now = performance.now();
  if (now - readAt < 1) return readMs;
  const { user, system } = process.cpuUsage();
  readAt = now;
  readMs = (user + system) / 1000;
  return readMs;
}

/** Profiles as the oracle reads them: percentiles that a source lacks are the largest known one. */
function readAsOracle({ profiles }: PublicCell): readonly OracleProfile[] {
  const whole = <R extends { p50Ms: number; p95Ms?: number | undefined; p99Ms?: number | undefined }>(row: R) => {
    const p95Ms = row.p95Ms ?? row.p50Ms;
    return { ...row, p95Ms, p99Ms: row.p99Ms ?? p95Ms };
  };
  return profiles.map((profile) =>
    profile.batching === 'dynamic'
      ? { ...profile, latency: profile.latency.map(whole) }
      : { ...profile, prefill: profile.prefill.map(whole), decode: profile.decode.map(whole) },
  ) as unknown as readonly OracleProfile[];
}
