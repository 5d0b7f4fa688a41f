import type { Redis } from 'ioredis';
import { messageOf } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { CachedBy, CacheOutcome } from '../../pipelines/run/stage-outcome.js';
import { Evidence, type Judged } from '../../stores/evidence/index.js';
import { VectorSets } from '../../stores/redis/index.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { RationedWarnings } from '../../telemetry/warnings.js';
import { Allowance, type AllowanceLimits } from './allowance.js';
import { Budget } from './budget.js';
import { type CacheKeys, type CacheRequest, keysOf } from './cache-key.js';
import { Certified, judgedOf, type Weighed } from './certified.js';
import type { Embedder } from './embedder.js';
import { EmbedderFailure, Embedders, type Vector } from './embedders.js';
import type { Entailment } from './entailment.js';
import { Entailments } from './entailments.js';
import { Entries, type Entry, fits, worthKeeping } from './entries.js';
import { dayEndOf, hasHistory, ttlOf } from './freshness.js';
import type { Judge } from './judge.js';
import { Labels } from './labels.js';
import type { Lease } from './lease.js';
import { type Candidate, SimilarTexts } from './similar-texts.js';
import { patienceOf, SingleFlight } from './single-flight.js';
import { isTimely } from './timely.js';

/** Timeouts in milliseconds. */
export interface CacheTimeouts {
  /** Timeout of an embedding or an embedder's fingerprint. Default 2 s: 7 ms is usual, a cold model takes longer. */
  readonly embedMs: number;
  /** Length of a lease without renewal: how long others wait for a worker that died. Default 3 s. */
  readonly leaseMs: number;
  /**
   * Longest wait for another worker's answer to the same text where the end of the attempt is not known. Default 30 s.
   */
  readonly waitMs: number;
}

const TIMEOUTS: CacheTimeouts = { embedMs: 2_000, leaseMs: 3_000, waitMs: 30_000 };

export interface SemanticCacheParts extends AllowanceLimits {
  readonly redis: Redis;
  /** May throw if there is no such pool; the stage then runs without a cache. */
  readonly embedderFor: (name: string) => Embedder;
  /** Models that compare answers, by the name of their pool. Absent: stages that name one get no labels. */
  readonly judgeFor?: (name: string) => Judge;
  /** Models of entailment, by the name of their pool and the label that means it. Absent: verifiers decide without one. */
  readonly entailmentFor?: (name: string, label: string) => Entailment;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly timeouts?: Partial<CacheTimeouts>;
  /** Numbers from 0 to 1 that choose the hits to ask again. Default: random. */
  readonly random?: () => number;
  /** What the answers of a tenant may take. Default: no limit but the store's. */
  readonly budget?: Budget;
}

export interface Cached {
  readonly output: JsonObject;
  readonly outcome: CacheOutcome;
  /** Of a hit: how it was found. */
  readonly by?: CachedBy;
}

/** What a pointer to an answer saves: an embedding and a search, in milliseconds. */
const SEARCH_MS = 10;

type Produce = () => Promise<JsonObject>;

/** Whether an earlier answer may still be served: stored answers outlive changes of schemas. */
type Valid = (output: JsonObject) => boolean | Promise<boolean>;
const anything: Valid = () => true;

/** The decision of a lookup. `lead` calls the model and stores the answer, for this caller and those that wait. */
type Decision =
  | { readonly do: 'serve'; readonly output: JsonObject; readonly outcome: 'hit' | 'shared'; readonly by?: CachedBy }
  | Lead
  | { readonly do: 'bypass' };

interface Lead {
  readonly do: 'lead';
  readonly at: CacheKeys;
  readonly lease: Lease;
  readonly vector: Vector;
  readonly judged: Judged;
  /** The answer that was or would have been a hit, to compare the fresh one with. */
  readonly weighed?: Weighed | undefined;
}

/** A fresh answer. */
interface Made {
  readonly output: JsonObject;
  readonly costMs: number;
  /** When the day ends that its call began on, as `dayEndOf`. */
  readonly dayEnds: number;
}

/**
 * Serves an earlier answer to a text with the same meaning: an equal text, or one that is similar by its embedding and
 * that the lexical guard does not distinguish. Of concurrent lookups of the same text, on any worker, one calls the
 * model.
 *
 * Fails open: if Redis or the embedder does not respond, the model is called as if there were no cache.
 */
export class SemanticCache {
  readonly #entries: Entries;
  readonly #flight: SingleFlight;
  readonly #similar: SimilarTexts;
  readonly #embedders: Embedders;
  readonly #metrics: Metrics;
  readonly #warnings: RationedWarnings;
  readonly #timeouts: CacheTimeouts;
  readonly #allowance: Allowance;
  readonly #budget: Budget;
  readonly #evidence: Evidence;
  readonly #labels: Labels;
  readonly #certified: Certified;

  constructor(parts: SemanticCacheParts) {
    const { redis, embedderFor, judgeFor, entailmentFor, metrics, logger, timeouts, budget } = parts;
    this.#evidence = new Evidence(redis);
    this.#timeouts = { ...TIMEOUTS, ...timeouts };
    this.#entries = new Entries(redis);
    this.#flight = new SingleFlight(this.#entries, this.#timeouts.leaseMs);
    this.#similar = new SimilarTexts(new VectorSets(redis), this.#entries, undefined, (request, error) =>
      this.#warnings.warn('comparison', aboutOf(request, error), 'cached text not compared'),
    );
    this.#embedders = new Embedders(embedderFor, this.#timeouts.embedMs);
    this.#metrics = metrics;
    this.#warnings = new RationedWarnings(logger);
    this.#allowance = new Allowance(redis, parts);
    this.#budget = budget ?? new Budget(redis, 0);
    this.#labels = new Labels({
      evidence: this.#evidence,
      embedders: this.#embedders,
      judgeFor,
      metrics,
      onFailure: (request, error) =>
        this.#warnings.warn('judge', aboutOf(request, error), 'hit of the semantic cache not judged'),
    });
    const entailments = new Entailments({
      entailmentFor,
      metrics,
      onFailure: (request, error) => {
        const about = { ...aboutOf(request, error), entailment: request.verifier?.entailment };
        this.#warnings.warn('entailment', about, 'pair decided without the model of entailment');
      },
    });
    this.#certified = new Certified({ evidence: this.#evidence, entailments, random: parts.random ?? Math.random });
  }

  /** The matching in use, for the start-up log. Never throws; ends within Redis' command timeout. */
  async describe(): Promise<string> {
    return this.#similar.describe();
  }

  /**
   * The answer to `request.key`, from the cache or from `produce`, which is called at most once and whose errors are
   * rethrown. Throws the signal's reason if that aborts during the lookup. Cached answers that are not `valid` are
   * ignored and overwritten.
   */
  async through(
    request: CacheRequest,
    produce: Produce,
    signal: AbortSignal,
    valid: Valid = anything,
  ): Promise<Cached> {
    signal.throwIfAborted();
    // An empty text has no meaning to compare.
    if (request.key.trim() === '' || (!request.timely && isTimely(request.key)))
      return { output: await produce(), outcome: 'off' };
    const decision = await this.#decide(request, signal, valid);
    if (decision.do === 'serve') {
      this.#used(request, decision.by);
      return this.#counted(request, decision.output, decision.outcome, decision.by);
    }
    if (decision.do === 'bypass') {
      this.#count(request, 'bypass');
      return { output: await produce(), outcome: 'bypass' };
    }
    let output: JsonObject;
    const started = performance.now();
    const dayEnds = dayEndOf(request.untilMidnight);
    try {
      output = await produce();
    } catch (error) {
      decision.lease.giveUp();
      this.#count(request, 'miss');
      throw error;
    }
    const costMs = performance.now() - started;
    const kept = await this.#keep(request, decision, { output, costMs, dayEnds }, signal);
    await this.#judge(request, decision, output, signal);
    return this.#counted(request, output, kept ? 'miss' : 'bypass');
  }

  /**
   * An earlier answer, if there is one; neither calls the stage's model nor waits for another call of the stage. Models of the embedder and
   * the verifier are asked as in `through`, within their limits of time. Throws only on abort.
   */
  async earlier(request: CacheRequest, signal: AbortSignal, valid: Valid = anything): Promise<Cached | undefined> {
    signal.throwIfAborted();
    if (!request.timely && isTimely(request.key)) return undefined;
    try {
      const fingerprint = await this.#embedders.fingerprint(request.embedder, signal);
      const at = keysOf(request, fingerprint);
      const [same] = await this.#entries.read(at, [at.id]);
      if (same && (await valid(same.output))) return this.#counted(request, same.output, 'hit', exactly(at, same));
      const vector = this.#embedders.vectorOf(request.embedder, request.key, request);
      const found = await this.#similar.find(at, request, vector, signal, valid);
      const weighed = found && (await this.#certified.weigh(request, found, judgedOf(request, fingerprint), signal));
      const by = weighed && (await this.#certified.permitted(request, at, weighed, 0));
      if (found && by) return this.#counted(request, found.entry.output, 'hit', by);
      this.#count(request, 'miss');
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      this.#bypassed(request, error);
      this.#count(request, 'bypass');
      return undefined;
    }
  }

  /** A hit's answer is worth more. Not awaited: it costs the caller nothing. */
  #used({ tenant }: CacheRequest, by: CachedBy | undefined): void {
    const [partition = '', id = ''] = by?.entry.split(':') ?? [];
    if (id !== '') this.#budget.used({ tenant, partition, id }).catch(() => undefined);
  }

  #counted(request: CacheRequest, output: JsonObject, outcome: CacheOutcome, by?: CachedBy): Cached {
    this.#count(request, outcome);
    if (by) this.#metrics.cacheHits.inc({ pipeline: request.pipeline, stage: request.stage, tier: by.tier });
    return { output, outcome, ...(by && { by }) };
  }

  #count({ pipeline, stage }: CacheRequest, outcome: CacheOutcome): void {
    this.#metrics.cacheLookups.inc({ pipeline, stage, outcome });
  }

  async #decide(request: CacheRequest, signal: AbortSignal, valid: Valid): Promise<Decision> {
    const end = this.#metrics.cacheSeconds.startTimer({ pipeline: request.pipeline, stage: request.stage });
    let done = false;
    // The wait for another worker's model call is not part of the lookup's duration.
    const lookedUp = () => {
      if (!done) end();
      done = true;
    };
    try {
      return await this.#lookUp(request, signal, valid, lookedUp);
    } catch (error) {
      signal.throwIfAborted();
      this.#bypassed(request, error);
      return { do: 'bypass' };
    } finally {
      lookedUp();
    }
  }

  #bypassed(request: CacheRequest, error: unknown): void {
    const kind = error instanceof EmbedderFailure ? 'embedder' : 'lookup';
    this.#warnings.warn(kind, aboutOf(request, error), 'semantic cache bypassed');
  }

  async #lookUp(request: CacheRequest, signal: AbortSignal, valid: Valid, lookedUp: () => void): Promise<Decision> {
    const fingerprint = await this.#embedders.fingerprint(request.embedder, signal);
    const at = keysOf(request, fingerprint);
    const judged = judgedOf(request, fingerprint);
    const vector = this.#embedders.vectorOf(request.embedder, request.key, request);
    const lease = this.#flight.lease(at);
    const usable = ({ output }: Entry) => valid(output);
    const wait = () => this.#flight.wait(lease, at, usable, patienceOf(request.endsAt, this.#timeouts.waitMs), signal);
    try {
      const claim = await this.#flight.claim(lease, at, usable);
      if (claim === 'taken') lookedUp();
      const found = claim === 'taken' ? await (request.waiting?.(wait) ?? wait()) : claim;
      if (found === 'impatient') return { do: 'lead', at, lease, vector, judged };
      if (typeof found !== 'string') {
        const outcome = claim === 'taken' ? 'shared' : 'hit';
        return { do: 'serve', output: found.output, outcome, by: exactly(at, found) };
      }
      signal.throwIfAborted();
      const candidate = await this.#similar.find(at, request, vector, signal, valid);
      const weighed = candidate && (await this.#certified.weigh(request, candidate, judged, signal));
      const by = weighed && (await this.#certified.permitted(request, at, weighed));
      if (request.maxErrorRate !== undefined)
        void this.#evidence.tally(judged, by !== undefined).catch(() => undefined);
      if (!candidate || !by) return { do: 'lead', at, lease, vector, judged, weighed };
      lease.end();
      // What the verifier permits now it may not permit later: only the guard's matches are kept.
      const kept =
        candidate.tier === 'guard' ? this.#copy(request, at, lease, candidate) : this.#entries.release(at, lease.owner);
      await kept.catch(() => lease.giveUp());
      return { do: 'serve', output: candidate.entry.output, outcome: 'hit', by };
    } catch (error) {
      // Redis may have granted the lease although its reply was lost.
      lease.giveUp();
      throw error;
    }
  }

  /** Serves the guard's match to this text too, without a search. */
  async #copy({ tenant, key, ttlMs }: CacheRequest, at: CacheKeys, lease: Lease, { id, similarity }: Candidate) {
    await this.#entries.copy(at, lease.owner, key, id, { similarity });
    const pointer = { tenant, partition: at.partition, id: at.id };
    this.#budget.stored(pointer, Buffer.byteLength(key), SEARCH_MS, ttlMs).catch(() => undefined);
  }

  /** Compares a fresh answer with the cached one that was, or would have been, a hit. Never throws. */
  async #judge(request: CacheRequest, { weighed }: Lead, output: JsonObject, signal: AbortSignal): Promise<void> {
    if (request.maxErrorRate === undefined || !weighed || weighed.counts.length === 0 || signal.aborted) return;
    await this.#labels.add({ request, weighed, output }, signal);
  }

  /** False if the cache was unavailable. */
  async #keep(
    request: CacheRequest,
    { at, lease, vector, judged }: Lead,
    { output, costMs, dayEnds }: Made,
    signal: AbortSignal,
  ): Promise<boolean> {
    lease.end();
    try {
      const entry = { text: request.key, output, judged: this.#evidence.keyOf(judged) };
      if (!fits(entry)) {
        lease.sendOff();
        return true;
      }
      if (!worthKeeping(output)) {
        await this.#entries.release(at, lease.owner);
        return true;
      }
      if (hasHistory(request.context) && (await this.#entries.mark(at.history, request.ttlMs))) {
        // The first turn with this history. Most conversations have a history that no other one has, and would be stored for nothing. Of those
        // that wait only the next one makes the call: its answer is kept.
        await this.#entries.release(at, lease.owner);
        return true;
      }
      const { tenant, insertedBy, pipeline, stage } = request;
      const exceeded = await this.#allowance.exceeded(tenant, insertedBy, bytesOf(request, output));
      if (exceeded !== undefined) {
        const message = `answer not stored: the ${exceeded} has used up its hourly allowance of the semantic cache`;
        this.#warnings.warn('allowance', { tenant, pipeline, stage }, message);
        // Another caller may have some left.
        if (exceeded === 'tenant') lease.sendOff();
        else await this.#entries.release(at, lease.owner);
        return true;
      }
      await this.#budget.makeRoom(bytesOf(request, output));
      const ttlMs = ttlOf(request.ttlMs, dayEnds);
      if (ttlMs <= 0) {
        await this.#entries.release(at, lease.owner);
        return true;
      }
      await this.#entries.store(at, lease.owner, entry, ttlMs);
      const answer = { tenant: request.tenant, partition: at.partition, id: at.id };
      const bytes = bytesOf(request, output) + (await this.#similar.bytesOf(request, vector, signal));
      // Sets have no time to live: a vector that the ledger does not know, because the worker stops here, could stay for ever.
      if (await this.#budget.stored(answer, bytes, costMs, ttlMs)) await this.#similar.add(at, request, vector, signal);
      return true;
    } catch (error) {
      if (!signal.aborted)
        this.#warnings.warn('store', aboutOf(request, error), 'answer not stored in the semantic cache');
      return false;
    }
  }
}

/** Bytes of an answer with its text. */
const bytesOf = ({ key }: CacheRequest, output: JsonObject): number =>
  Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(output));

const exactly = (at: CacheKeys, { of, match }: Entry): CachedBy =>
  of === undefined
    ? { tier: 'exact', entry: `${at.partition}:${at.id}` }
    : { tier: 'guard', entry: `${at.partition}:${of}`, ...match };

const aboutOf = ({ pipeline, stage, embedder }: CacheRequest, error: unknown) => ({
  pipeline,
  stage,
  embedder,
  error: messageOf(error),
});
