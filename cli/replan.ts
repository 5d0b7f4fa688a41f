import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { placementText } from '../placement/explain/index.js';
import { replanText } from '../placement/replan/index.js';
import { connectClient } from '../temporal/connect.js';
import { temporalServer } from '../workers/endpoints.js';
import type { Settings } from '../workers/settings.js';
import { complain, printJson, show, table } from './output.js';
import { wrongOption } from './place-files.js';
import { filesOf, inForce, type Measurement, measureOnce, type ReplanCommandOptions } from './replan-measure.js';
import type { ReplanMetrics } from './replan-metrics.js';

export type { ReplanCommandOptions } from './replan-measure.js';

/**
 * `millrace replan`: measures the placement in force, reports differences from its prediction, and proposes another
 * one. With `every` it repeats until SIGTERM or SIGINT, and reports only what is new. With `auto` it applies what a policy allows; else
 * nothing is applied.
 */
export async function replanPlacement(settings: Settings, options: ReplanCommandOptions): Promise<void> {
  // Mistakes in files and options are reported before any server is called.
  const { file, placement } = await inForce(settings, options);
  await filesOf(settings, options, placement);
  if (!statSync(options.out, { throwIfNoEntry: false })?.isDirectory()) {
    throw wrongOption('--out', `${options.out} is not a folder: create it, or pass another`);
  }
  const { metricsPort, every } = options;
  if (metricsPort !== undefined && every === undefined && options.auto === undefined) {
    throw wrongOption('--metrics-port', 'one measurement is no metric: pass --every too, e.g. --every 1m');
  }
  const auto = options.auto && (await import('./auto/index.js'));
  const policy = await auto?.readAuto(options, settings);
  const connection = await connectClient(temporalServer(settings));
  const client = new Client({ connection, namespace: settings.TEMPORAL_NAMESPACE });
  const metrics = metricsPort === undefined ? undefined : await openMetrics(settings, metricsPort, connection);
  const told = whatIsNew(options, metrics);
  try {
    if (auto && policy) {
      const seen = (each: Pick<Measurement, 'placement' | 'measured'>) => metrics?.see(each);
      await auto.replanWithin({ settings, options, policy, file, client, told, seen });
    } else if (every !== undefined) await watch(settings, options, client, every, told);
    else told(await measureOnce(settings, options, { client, signal: new AbortController().signal }));
  } finally {
    metrics?.close();
    await connection.close();
  }
}

async function openMetrics(settings: Settings, port: number, connection: { close(): Promise<void> }) {
  const { serveFigures } = await import('./replan-metrics.js');
  return serveFigures(settings, port).catch(async (error: unknown) => {
    await connection.close();
    throw error;
  });
}

/** Counts each measurement, and tells people of those that say something new. */
function whatIsNew(options: ReplanCommandOptions, metrics: ReplanMetrics | undefined) {
  let before = '';
  return (measurement: Measurement): void => {
    metrics?.see(measurement);
    if (measurement.news !== before) report(options, measurement);
    before = measurement.news;
  };
}

/** Measures repeatedly until SIGTERM or SIGINT. */
async function watch(
  settings: Settings,
  options: ReplanCommandOptions,
  client: Client,
  everyMs: number,
  told: (measurement: Measurement) => void,
): Promise<void> {
  const ended = new AbortController();
  const { signal } = ended;
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => ended.abort());
  while (!signal.aborted) {
    try {
      const measurement = await measureOnce(settings, options, { client, signal });
      if (!signal.aborted) told(measurement);
    } catch (error) {
      // Errors do not end the watch: a server that is away now may be back for the next measurement.
      const code = error instanceof MillraceError ? `${error.code}: ` : '';
      if (!signal.aborted) complain(`millrace: ${code}${messageOf(error)}`);
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}

function report(
  { json, out, cluster, auto }: ReplanCommandOptions,
  { placement, measured, found, input }: Measurement,
): void {
  const { proposal } = found;
  const changes = proposal !== null && proposal.version !== placement.version;
  const file = path.join(out, `placement-${proposal?.version}.json`);
  if (changes) writeFileSync(file, `${JSON.stringify(proposal, null, 2)}\n`);
  const apply = changes ? `millrace apply ${file} --cluster ${cluster}` : null;
  if (json) {
    printJson({ placement: placement.version, at: new Date().toISOString(), measured, ...found, apply });
    return;
  }
  show(replanText(placement, measured, found));
  if (!changes) return;
  show(`\nProposed\n\n${placementText(proposal, input.inventory, table)}`);
  if (auto === undefined)
    show(`\nNothing was changed. To apply it, with the same options as for the last apply:\n  ${apply}`);
}
