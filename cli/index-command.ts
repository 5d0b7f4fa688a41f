import { type Embedder, embedderOf } from '../activities/cache/index.js';
import type { PassageIndex } from '../activities/vector-index/index.js';
import { MillraceError } from '../pipelines/errors.js';
import type { Passage } from '../pipelines/stages/index.js';
import { connected } from '../stores/redis/index.js';
import type { Logger } from '../telemetry/logger.js';
import { createMetrics } from '../telemetry/metrics.js';
import { createLogger } from '../workers/logger.js';
import { openPassageIndex } from '../workers/passage-index.js';
import { openPools } from '../workers/pools.js';
import type { Settings } from '../workers/settings.js';
import { dim, note, print, printJson, show, table } from './output.js';
import { checkPassages, readPassages } from './passage-file.js';
import { requireTenant } from './require-tenant.js';

export interface IndexOptions {
  readonly tenant: string;
  readonly embedder: string;
  readonly json?: boolean;
}

export interface SearchOptions extends IndexOptions {
  readonly k: number;
  readonly minScore?: number;
}

export interface DeleteOptions {
  readonly tenant: string;
  /** Only these passages. Empty: the index with all of them. */
  readonly id: readonly string[];
  readonly json?: boolean;
}

/** Passages per call of the index: a progress line every few seconds. */
const BATCH = 256;

/** Passages removed between two lines about it. */
const TOLD = 5_000;

/** Width of a passage's text in the table, so that a row with id and score fits a terminal line. */
const TEXT_WIDTH = 96;

/** `millrace index put`: writes nothing unless every line of the file is valid. */
export async function putPassages(settings: Settings, index: string, file: string, options: IndexOptions) {
  const { tenant, embedder } = options;
  requireTenant(tenant);
  const total = await checkPassages(file);
  await withIndex(settings, async (passages, signal) => {
    let done = 0;
    const put = async (batch: Passage[]) => {
      done += await passages.upsert({ tenant, index, embedder, passages: batch }, signal);
      note(dim(`${done} of ${total} passages`));
    };
    let batch: Passage[] = [];
    for await (const passage of readPassages(file)) {
      if (batch.push(passage) < BATCH) continue;
      await put(batch);
      batch = [];
    }
    if (batch.length > 0) await put(batch);
    if (options.json) printJson({ index, tenant, embedder, passages: done });
    else show(`${done} passages put into the index "${index}" of tenant "${tenant}"`);
  });
}

/** `millrace index search` */
export async function searchPassages(settings: Settings, index: string, query: string, options: SearchOptions) {
  const { tenant, embedder, k, minScore } = options;
  requireTenant(tenant);
  await withIndex(settings, async (passages, signal) => {
    const found = await passages.search({ tenant, index, embedder, query, k, minScore }, signal);
    if (options.json) printJson({ passages: found });
    else
      print(
        table(
          ['score', 'id', 'text'],
          found.map(({ score, id, text }) => [score.toFixed(3), id, short(text)]),
        ),
      );
  });
}

/** `millrace index delete`: an index, or some of its passages. It needs no embedder. */
export async function deletePassages(settings: Settings, index: string, options: DeleteOptions) {
  const { tenant, id: ids, json } = options;
  requireTenant(tenant);
  const logger = createLogger({ ...settings, MILLRACE_LOG_LEVEL: 'silent' }, 'index');
  const none = (): never => {
    throw new MillraceError('INTERNAL', 'nothing is embedded to delete passages');
  };
  await onStore(settings, none, logger, async (passages, signal) => {
    let told = 0;
    const tell = (removed: number) => {
      if (removed - told < TOLD) return;
      told = removed;
      note(dim(`${removed} passages deleted`));
    };
    const name = { tenant, index };
    const removed = ids.length > 0 ? await passages.remove(name, ids) : await passages.drop(name, signal, tell);
    const of = `the index "${index}" of tenant "${tenant}"`;
    if (json) printJson({ index, tenant, passages: removed });
    else show(ids.length > 0 ? `${removed} passages of ${of} deleted` : `${of} deleted, with ${removed} passages`);
  });
}

/** Opens an index with the pools for one command. */
async function withIndex(settings: Settings, work: Work) {
  const logger = createLogger({ ...settings, MILLRACE_LOG_LEVEL: 'silent' }, 'index');
  const pools = await openPools(settings, { metrics: createMetrics(), logger });
  try {
    await onStore(settings, (name) => embedderOf(pools, name), logger, work);
  } finally {
    pools.close();
  }
}

type Work = (index: PassageIndex, signal: AbortSignal) => Promise<void>;

/** Opens an index for one command; SIGINT ends it between or during calls. */
async function onStore(settings: Settings, embedderFor: (name: string) => Embedder, logger: Logger, work: Work) {
  const { index, redis } = openPassageIndex(settings, embedderFor, logger);
  const stop = new AbortController();
  const interrupt = () => stop.abort(new Error('interrupted; what was done so far is kept'));
  process.once('SIGINT', interrupt);
  try {
    await connected(redis, settings.MILLRACE_INDEX_TIMEOUT_MS);
    await work(index, stop.signal);
  } finally {
    process.off('SIGINT', interrupt);
    redis.disconnect();
  }
}

function short(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > TEXT_WIDTH ? `${line.slice(0, TEXT_WIDTH - 1)}…` : line;
}
