import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline as pipe } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClientError, type MillraceClient, type RunDocument, type ServedArtifact } from '../client/index.js';
import { isPassing, PAUSE } from '../client/retries.js';
import { extensionOf } from '../media/index.js';
import { isArtifact } from '../pipelines/artifact.js';
import { MillraceError } from '../pipelines/errors.js';
import type { StageRecord } from '../pipelines/run/index.js';
import { limited } from '../runtime/limited.js';
import { note, table } from './output.js';

interface Column {
  readonly heading: string;
  readonly of: (row: StageRecord) => string | number;
  /** The value of every run without incidents: a column that has no other is left out. */
  readonly usual?: string | number;
}

const COLUMNS: readonly Column[] = [
  { heading: 'stage', of: ({ stage }) => stage },
  { heading: 'served by', of: servedBy },
  { heading: 'endpoint', of: ({ endpoint = '' }) => endpoint },
  { heading: 'attempt', of: ({ attempt = '' }) => attempt, usual: 1 },
  { heading: 'cache', of: ({ cache = '' }) => cache, usual: 'off' },
  { heading: 'queue ms', of: ({ queueMs = '' }) => queueMs },
  { heading: 'run ms', of: ({ runMs = '' }) => runMs },
  { heading: 'status', of: ({ status, error }) => (error ? `${status} ${error.code}` : status) },
];

/** The table of a run's stages. */
export function stageTable(stages: readonly StageRecord[]): string {
  const shown = COLUMNS.filter(
    ({ of, usual }) => usual === undefined || stages.some((row) => ![usual, ''].includes(of(row))),
  );
  return table(
    shown.map(({ heading }) => heading),
    stages.map((row) => shown.map(({ of }) => of(row))),
  );
}

function servedBy({ connector, model, device }: StageRecord): string {
  return `${connector} · ${model}${device && ` @${device}`}`;
}

/**
 * Saves every media field of a run's output in `folder` and returns the files by field.
 * @param failed called for a field that cannot be saved; the others are saved. Default: it throws what went wrong
 */
export async function saveMedia(
  client: MillraceClient,
  run: RunDocument,
  folder: string,
  failed: (field: string, error: unknown) => void = (_, error) => {
    throw error;
  },
): Promise<Record<string, string>> {
  const saved: Record<string, string> = {};
  for (const [name, value] of Object.entries(run.output ?? {})) {
    if (!isArtifact(value)) continue;
    const file = path.join(folder, fileName(`${run.id}-${name}${extensionOf(value.mime)}`));
    try {
      const { body } = await client.artifact(value as unknown as ServedArtifact);
      await pipe(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), createWriteStream(file));
      saved[name] = file;
    } catch (error) {
      failed(name, error);
    }
  }
  return saved;
}

/** A name in a folder, whatever the field is called. */
const fileName = (name: string): string => name.replace(/[^\p{L}\p{N}._-]/gu, '_');

/** Polling interval of a running run, in milliseconds. */
const POLL_MS = 250;

/** Longest time without an answer about a run, in milliseconds: a gateway is replaced, or Temporal is back, within it. */
const AWAY_MS = 300_000;

/** Questions that fit into that time: a gateway that keeps the connection and says nothing is away too. */
const QUESTIONS = 10;

/**
 * Polls a run until it has ended. `onChange` receives every state. A gateway that is away is asked again.
 *
 * @param awayMs longest time without an answer, in milliseconds
 * @throws MillraceError GATEWAY_UNAVAILABLE if it takes longer
 */
export async function watch(
  client: MillraceClient,
  id: string,
  onChange: (run: RunDocument) => void,
  awayMs = AWAY_MS,
): Promise<RunDocument> {
  for (;;) {
    const run = await stateOf(client, id, awayMs);
    onChange(run);
    if (run.status !== 'running') return run;
    await sleep(POLL_MS);
  }
}

async function stateOf(client: MillraceClient, id: string, awayMs: number): Promise<RunDocument> {
  const giveUpAt = performance.now() + awayMs;
  let noted = false;
  for (let pauseMs = POLL_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE.longestMs)) {
    try {
      return await answer(client, id, awayMs / QUESTIONS);
    } catch (error) {
      if (!(error instanceof ClientError) || !isPassing(error)) throw error;
      const leftMs = giveUpAt - performance.now();
      if (leftMs <= 0) throw outOfSight(id, awayMs, error);
      if (!noted) {
        noted = true;
        note(`the state of the run cannot be read, and is asked for again: ${error.code}: ${error.message}`);
      }
      await sleep(Math.min(Math.max(error.retryAfterMs ?? pauseMs, POLL_MS), leftMs));
    }
  }
}

/** Throws a `ClientError` without a status, which is passing, if it takes longer. */
async function answer(client: MillraceClient, id: string, ms: number): Promise<RunDocument> {
  try {
    return await limited(ms, new AbortController().signal, (signal) => client.get(id, { signal }));
  } catch (error) {
    if (!(error instanceof DOMException && error.name === 'TimeoutError')) throw error;
    throw new ClientError(0, { detail: error.message }, { cause: error });
  }
}

/** Says what to do in place of a second run. */
function outOfSight(id: string, awayMs: number, { code, message }: ClientError): MillraceError {
  const time = `${Math.round(awayMs / 1_000)} s`;
  return new MillraceError(
    'GATEWAY_UNAVAILABLE',
    `the state of run ${id} could not be read for ${time} (${code}: ${message}). This has not stopped it: do not start it again, look at it with "millrace runs --id ${id}" (and --tenant, if you gave one)`,
  );
}

/** Returns a line for each stage whose state has changed since the last call. */
export function changes(): (stages: readonly StageRecord[]) => string[] {
  const seen = new Map<string, string>();
  return (stages) =>
    stages.flatMap((row) => {
      const state = row.error ? `failed: ${row.error.code}` : row.status;
      if (seen.get(row.stage) === state || state === 'waiting') return [];
      seen.set(row.stage, state);
      const took = row.runMs === undefined ? '' : ` in ${row.runMs} ms`;
      const by = row.cache === 'hit' || row.cache === 'shared' ? `cache ${row.cache}` : servedBy(row);
      return [`${row.stage.padEnd(12)} ${by}  ${state}${took}`];
    });
}
