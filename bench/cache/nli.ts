import pMap from 'p-map';
import { LONGEST_PAIR } from '../../activities/cache/entailments.js';
import { type Claim, type Entailment, entailmentOf } from '../../activities/cache/index.js';
import { Pools } from '../../activities/pools/index.js';
import type { CacheVerifier } from '../../pipelines/plan/index.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { connectorsOf } from '../../workers/connectors.js';
import { loadModels } from '../../workers/models.js';
import type { Settings } from '../../workers/settings.js';
import { isSoft } from './judge.js';
import type { Pair } from './pairs.js';

/** A model of entailment, as the bench asks it. */
export interface Nli {
  readonly entailment: Entailment;
  readonly verifier: CacheVerifier;
  /** What it says of each pair that a verifier is asked about, in their order. */
  of(pairs: readonly Pair[]): Promise<(number | undefined)[]>;
  close(): void;
}

export interface NliOptions {
  /** A models file, as `MILLRACE_MODELS` names one. */
  readonly models: string;
  /** A pool in it. */
  readonly pool: string;
  readonly label: string;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Pairs at once. */
const AT_ONCE = 8;
/** No pair goes without a score because the machine is busy. */
const TIMEOUT_MS = 60_000;

/** A pool of the user's. Each claim is scored once. */
export async function openNli(
  settings: Settings,
  { models: file, pool, label, metrics, logger }: NliOptions,
): Promise<Nli> {
  const models = await loadModels({ ...settings, MILLRACE_MODELS: file });
  const canaryIntervalMs = settings.MILLRACE_CANARY_INTERVAL_MS;
  const pools = new Pools({ models, connectors: connectorsOf(settings), metrics, logger, canaryIntervalMs });
  const entailment = remembering(entailmentOf(pools, pool, label));
  return {
    entailment,
    verifier: { entailment: pool, label, timeoutMs: TIMEOUT_MS },
    of: (pairs) =>
      pMap(
        pairs,
        async (pair) => {
          if (!isSoft(pair) || pair.a.length + pair.b.length > LONGEST_PAIR) return undefined;
          const claims = [
            [pair.a, pair.b],
            [pair.b, pair.a],
          ] as const;
          const [forth, back] = await entailment.scores(claims, AbortSignal.timeout(TIMEOUT_MS), { tenant: 'bench' });
          return Math.min(Number(forth), Number(back));
        },
        { concurrency: AT_ONCE },
      ),
    close: () => pools.close(),
  };
}

function remembering(model: Entailment): Entailment {
  const known = new Map<string, Promise<readonly unknown[]>>();
  return {
    identity: (signal) => model.identity(signal),
    scores(claims: readonly Claim[], signal, caller) {
      const key = JSON.stringify(claims);
      const scores = known.get(key) ?? model.scores(claims, signal, caller);
      known.set(key, scores);
      return scores;
    },
  };
}
