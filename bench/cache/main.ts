/**
 * The semantic cache on labelled pairs: `a` is stored, `b` is asked. Every `*.jsonl` of a folder goes through the cache
 * on real Redis and real embeddings, with the guard alone and with the verifier that half of the set's labels certified
 * for each error rate; beside the best static cosine threshold in hindsight and the default thresholds of other caches,
 * emulated on the same embeddings. With `--nli` also with a verifier that asks a model of entailment: a pool of a models
 * file, such as one on a Triton of your own.
 *
 * Prints a table in Markdown; with `--json` all figures.
 *
 *   npm run bench:cache [-- --json] [--data FOLDER] [--splits N] [--nli POOL --models FILE [--label LABEL]]
 *   npm run bench:cache -- make     writes the developer's set and the training pairs
 *   npm run bench:cache -- train    trains the verifier on the training pairs
 *   npm run bench:cache -- thesaurus --wordnet FOLDER --vocabulary FILE     writes the verifier's thesaurus
 */
import { loadavg } from 'node:os';
import { pino } from 'pino';
import { type Embedder, embedderOf, SemanticCache } from '../../activities/cache/index.js';
import { down, up } from '../../deploy/local/stack/index.js';
import type { CacheVerifier } from '../../pipelines/plan/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { composeStages } from '../../workers/compose.js';
import { readSettings } from '../../workers/settings.js';
import { openStore } from '../../workers/stores.js';
import { percentile, round } from '../figures.js';
import { parseOptions } from '../options.js';
import { environmentOf } from '../own-stack.js';
import { bestThreshold, byKind, type Figures, figuresOf, inSplits, isSoft, type Scored, scored } from './judge.js';
import { askLive, REQUEST } from './live.js';
import { makePairs } from './make-pairs.js';
import { makeThesaurus } from './make-thesaurus.js';
import { type Nli, openNli } from './nli.js';
import { type Pair, readSets } from './pairs.js';
import { type SetFigures, tableOf } from './table.js';
import { train } from './train.js';

const { values: options, positionals } = parseOptions({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    data: { type: 'string', default: 'bench/cache/sets' },
    splits: { type: 'string', default: '100' },
    nli: { type: 'string' },
    models: { type: 'string' },
    label: { type: 'string', default: 'entailment' },
    wordnet: { type: 'string' },
    vocabulary: { type: 'string' },
  },
});
if ((options.nli === undefined) !== (options.models === undefined))
  throw new Error('--nli names a pool of the models file that --models names: give both');

const settings = readSettings(environmentOf({ name: 'bench-cache', portBase: 7780 }));
const DELTAS = [0.02, 0.05, 0.1];
/** Default thresholds on the cosine, from the documents of each; on their own models the figures differ. */
const RIVALS = { 'GPTCache (0.8)': 0.8, 'RedisVL (distance 0.1)': 0.9, 'LangCache (0.9)': 0.9, 'cosine 0.95': 0.95 };

/** An embedder that computes each text once. */
function remembering(embedder: Embedder): Embedder {
  const known = new Map<string, Promise<Float32Array>>();
  return {
    fingerprint: (signal) => embedder.fingerprint(signal),
    embed(text, signal, caller) {
      const vector = known.get(text) ?? embedder.embed(text, signal, caller);
      known.set(text, vector);
      return vector;
    },
  };
}

interface Result {
  readonly sets: Readonly<Record<string, SetFigures>>;
  readonly rivals: Readonly<Record<string, Readonly<Record<string, Figures>>>>;
  readonly load: number;
}

/** The result of judging, or of another command. */
async function main(): Promise<Result | { readonly other: unknown }> {
  if (positionals[0] === 'make') return { other: makePairs() };
  if (positionals[0] === 'thesaurus') {
    const { wordnet, vocabulary } = options;
    if (wordnet === undefined || vocabulary === undefined)
      throw new Error('thesaurus needs --wordnet and --vocabulary');
    return { other: makeThesaurus(wordnet, vocabulary) };
  }
  const logger = pino({ level: 'warn' }, pino.destination(2));
  const metrics = createMetrics();
  const { nli: pool, models, label } = options;
  const nli =
    pool !== undefined && models !== undefined
      ? await openNli(settings, { models, pool, label, metrics, logger })
      : undefined;
  await up({ settings, parts: ['redis', 'redis-index', 'redis-cache', 'triton'] });
  const stages = await composeStages(settings, logger);
  const redis = openStore(settings, 'cache', logger);
  try {
    const embedder = remembering(embedderOf(stages.pools, REQUEST.embedder));
    const signal = new AbortController().signal;
    const similarityOf = async (a: string, b: string) => {
      const [one, other] = await Promise.all([a, b].map((text) => embedder.embed(text, signal, { tenant: 'bench' })));
      return (one as Float32Array).reduce((sum, value, i) => sum + value * (other?.[i] ?? 0), 0);
    };
    if (positionals[0] === 'train') return { other: await train(similarityOf) };
    const cache = new SemanticCache({
      redis,
      embedderFor: () => embedder,
      ...(nli && { entailmentFor: () => nli.entailment }),
      metrics,
      logger,
    });
    const sets: Record<string, SetFigures> = {};
    const rivals: Record<string, Record<string, Figures>> = {};
    for (const [name, pairs] of readSets(options.data)) {
      const own = await judgeSet(cache, name, pairs, { similarityOf, nli });
      sets[name] = own.set;
      rivals[name] = own.rivals;
    }
    return { sets, rivals, load: Number((loadavg()[0] as number).toFixed(1)) };
  } finally {
    nli?.close();
    redis.disconnect();
    await stages.close();
    await down(settings);
  }
}

async function judgeSet(
  cache: SemanticCache,
  name: string,
  pairs: readonly Pair[],
  { similarityOf, nli }: { similarityOf: (a: string, b: string) => Promise<number>; nli: Nli | undefined },
): Promise<{ set: SetFigures; rivals: Record<string, Figures> }> {
  const tenant = `bench-${process.pid}-${name.replace(/\W/g, '-')}`;
  const { judged } = await askLive(cache, pairs, { tenant });
  const all = await Promise.all(
    pairs.map(async (pair) => scored(pair, await similarityOf(pair.a, pair.b), REQUEST.minSimilarity)),
  );
  const said = await nli?.of(pairs);
  const withNli = said && all.map((pair, i) => scored(pair, pair.similarity, REQUEST.minSimilarity, said[i]));
  const certified: Record<string, SetFigures['certified'][string]> = {};
  for (const delta of DELTAS) {
    certified[`${delta}`] = {
      ...(await certifiedAt(cache, all, { tenant, delta })),
      bestThreshold: bestThreshold(all, delta),
      ...(nli &&
        withNli && {
          nli: await certifiedAt(cache, withNli, { tenant: `${tenant}-nli`, delta, verifier: nli.verifier }),
        }),
    };
  }
  const rivals = Object.fromEntries(
    Object.entries(RIVALS).map(([rival, threshold]) => [
      rival,
      figuresOf(all.map((pair) => ({ ...pair, hit: pair.similarity >= threshold }))),
    ]),
  );
  return { set: { ...figuresOf(judged), kinds: byKind(judged), certified, verifierMs: cpuOf(all) }, rivals };
}

/** Processor time that the guard and the verifier take for a pair that the verifier is asked about. */
function cpuOf(pairs: readonly Scored[]): SetFigures['verifierMs'] {
  const times = pairs.filter(isSoft).map((pair) => {
    const before = process.cpuUsage();
    scored(pair, pair.similarity, REQUEST.minSimilarity);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  });
  return { pairs: times.length, p50: round(percentile(times, 0.5), 2), p95: round(percentile(times, 0.95), 2) };
}

/** The figures of one error rate. */
async function certifiedAt(
  cache: SemanticCache,
  pairs: readonly Scored[],
  { tenant, delta, verifier }: { tenant: string; delta: number; verifier?: CacheVerifier },
) {
  const live = await askLive(cache, pairs, { tenant: `${tenant}-${delta}`, maxErrorRate: delta, verifier });
  return {
    live: { ...figuresOf(live.judged), tiers: live.tiers },
    splits: inSplits(pairs, delta, Number(options.splits)),
  };
}

const result = await main();
if ('other' in result) process.stdout.write(`${JSON.stringify(result.other, null, 2)}\n`);
else process.stdout.write(options.json ? `${JSON.stringify(result, null, 2)}\n` : tableOf(result.sets, result.rivals));
process.exit(0);
