import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline as pipe } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MillraceClient, RunDocument, ServedArtifact } from '../client/index.js';
import { extensionOf } from '../media/index.js';
import { isArtifact } from '../pipelines/artifact.js';
import type { StageRecord } from '../pipelines/run/index.js';
import { table } from './output.js';

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

/** Saves every media field of a run's output in `folder` and returns the files by field. */
export async function saveMedia(
  client: MillraceClient,
  run: RunDocument,
  folder: string,
): Promise<Record<string, string>> {
  const saved: Record<string, string> = {};
  for (const [name, value] of Object.entries(run.output ?? {})) {
    if (!isArtifact(value)) continue;
    const file = path.join(folder, fileName(`${run.id}-${name}${extensionOf(value.mime)}`));
    const { body } = await client.artifact(value as unknown as ServedArtifact);
    await pipe(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), createWriteStream(file));
    saved[name] = file;
  }
  return saved;
}

/** A name in a folder, whatever the field is called. */
const fileName = (name: string): string => name.replace(/[^\p{L}\p{N}._-]/gu, '_');

/** Polling interval of a running run, in milliseconds. */
const POLL_MS = 250;

/** Polls a run until it has ended. `onChange` receives every state. */
export async function watch(
  client: MillraceClient,
  id: string,
  onChange: (run: RunDocument) => void,
): Promise<RunDocument> {
  for (;;) {
    const run = await client.get(id);
    onChange(run);
    if (run.status !== 'running') return run;
    await sleep(POLL_MS);
  }
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
