import type { Redis } from 'ioredis';
import { keySegment, VectorSets } from '../../stores/redis/index.js';
import { differenceOf } from './lexical-guard.js';
import { scoreOf } from './verifier/verifier.js';

/** A cached text near another one. */
export interface Inspected {
  readonly text: string;
  /** Cosine of the embeddings. */
  readonly similarity: number;
  /** What the two differ in; absent: the guard takes them for the same. `(final)`: no verifier is asked. */
  readonly difference?: string;
  /** The verifier's score, from 0 to 1. */
  readonly score?: number;
}

/** Partitions that are searched; a tenant with more has them searched in the order in which Redis names them. */
const MOST_PARTITIONS = 1_000;
const NEIGHBOURS = 5;

/**
 * The cached texts of a tenant that are nearest to a text, over all its pipelines, stages and callers, and why each is
 * no hit. For operators: it shows texts of callers.
 */
export async function inspectText(
  redis: Redis,
  tenant: string,
  text: string,
  vector: Float32Array,
  most = 10,
): Promise<Inspected[]> {
  const vectors = new VectorSets(redis);
  const found: Inspected[] = [];
  let [cursor, partitions] = ['0', 0];
  do {
    const [next, keys] = await redis.scan(
      cursor,
      'MATCH',
      `millrace:cache:{${keySegment(tenant)}:*}:vectors`,
      'COUNT',
      500,
    );
    cursor = next;
    for (const key of keys) {
      partitions += 1;
      // Of another embedder: its vectors have another length.
      const near = await vectors.search(key, vector, NEIGHBOURS).catch(() => []);
      for (const { id, similarity } of near) {
        const cached = textIn(await redis.get(`${key.slice(0, -':vectors'.length)}:entry:${id}`));
        if (cached !== undefined) found.push(describe(cached, text, similarity));
      }
    }
  } while (cursor !== '0' && partitions < MOST_PARTITIONS);
  return found.sort((a, b) => b.similarity - a.similarity).slice(0, most);
}

function describe(cached: string, text: string, similarity: number): Inspected {
  const found = differenceOf(cached, text);
  if (!found) return { text: cached, similarity };
  const difference = `${found.kind}: ${found.what}${found.soft ? '' : ' (final)'}`;
  return {
    text: cached,
    similarity,
    difference,
    ...(found.soft && { score: scoreOf(cached, text, found, similarity) }),
  };
}

function textIn(stored: string | null): string | undefined {
  try {
    const entry: unknown = JSON.parse(stored ?? 'null');
    const text = entry !== null && typeof entry === 'object' && 'text' in entry ? entry.text : undefined;
    return typeof text === 'string' ? text : undefined;
  } catch {
    return undefined;
  }
}
