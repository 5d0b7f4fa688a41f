import { MillraceError } from '../pipelines/errors.js';

/** Timeout of a check, in milliseconds: a Kubernetes probe waits a second by default, and 5 s in common practice. */
const CHECK_MS = 2_000;
/**
 * How long a result is cached, in milliseconds: the route is open to everybody, and each check costs files and calls.
 */
const FRESH_MS = 1_000;

export interface ReadinessCheck {
  /** Whether no run can start without it. Otherwise its failure makes the gateway `degraded`. */
  readonly critical: boolean;
  /** Throws if the part is unusable; the message of a `MillraceError` is public. */
  check(): Promise<void>;
}

interface CheckResult {
  readonly status: 'ok' | 'failed';
  readonly critical: boolean;
  readonly ms: number;
  readonly error?: string;
}

export interface ReadinessDocument {
  /** `unavailable`: no run can start. `degraded`: runs start, but some may wait, fail or be slower. */
  readonly status: 'ready' | 'degraded' | 'unavailable';
  /** The failed parts that are not critical. */
  readonly degraded: readonly { readonly part: string; readonly message: string }[];
  readonly checks: Readonly<Record<string, CheckResult>>;
}

/** Checks all parts in parallel, at most once a second, shared by all requests. */
export class Readiness {
  readonly #parts: Readonly<Record<string, ReadinessCheck>>;
  #found: { readonly document: Promise<ReadinessDocument>; endedAt: number } | undefined;

  constructor(parts: Readonly<Record<string, ReadinessCheck>>) {
    this.#parts = parts;
  }

  now(): Promise<ReadinessDocument> {
    if (this.#found && performance.now() - this.#found.endedAt < FRESH_MS) return this.#found.document;
    const found = { document: checkAll(this.#parts), endedAt: Number.POSITIVE_INFINITY };
    void found.document.then(() => {
      found.endedAt = performance.now();
    });
    this.#found = found;
    return found.document;
  }
}

/** Never rejects. */
async function checkAll(parts: Readonly<Record<string, ReadinessCheck>>): Promise<ReadinessDocument> {
  const entries = Object.entries(parts).map(async ([name, part]) => [name, await run(part)] as const);
  const all = await Promise.all(entries);
  const failed = all.filter(([, { status }]) => status === 'failed');
  const unavailable = failed.some(([, { critical }]) => critical);
  return {
    status: unavailable ? 'unavailable' : failed.length > 0 ? 'degraded' : 'ready',
    degraded: failed.flatMap(([part, { critical, error = '' }]) => (critical ? [] : [{ part, message: error }])),
    checks: Object.fromEntries(all),
  };
}

async function run({ critical, check }: ReadinessCheck): Promise<CheckResult> {
  const start = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new MillraceError('INTERNAL', `no answer within ${CHECK_MS} ms`)), CHECK_MS);
  });
  const result = (status: 'ok' | 'failed') => ({ status, critical, ms: Math.round(performance.now() - start) });
  try {
    await Promise.race([check(), late]);
    return result('ok');
  } catch (error) {
    // Only messages of `MillraceError` are public: others may contain paths.
    return { ...result('failed'), error: error instanceof MillraceError ? error.message : 'failed' };
  } finally {
    clearTimeout(timer);
  }
}
