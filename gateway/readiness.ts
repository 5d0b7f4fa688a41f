import { MillraceError } from '../pipelines/errors.js';
import type { GatewayDeps, ReadinessCheck } from './deps.js';

/** Longest time that a part may take to say that it works: a probe of Kubernetes waits a second by default, people set 5. */
const CHECK_MS = 2_000;

interface CheckResult {
  readonly status: 'ok' | 'failed';
  readonly critical: boolean;
  readonly ms: number;
  readonly error?: string;
}

export interface Readiness {
  /** `degraded`: only something that runs can do without is down. */
  readonly status: 'ready' | 'degraded' | 'unavailable';
  readonly checks: Readonly<Record<string, CheckResult>>;
}

/** Looks at everything that the gateway needs, at once. */
export async function readinessOf({ readiness }: GatewayDeps): Promise<Readiness> {
  const entries = Object.entries(readiness).map(async ([name, part]) => [name, await run(part)] as const);
  const checks = Object.fromEntries(await Promise.all(entries));
  const failed = Object.values(checks).filter(({ status }) => status === 'failed');
  const unavailable = failed.some(({ critical }) => critical);
  return { status: unavailable ? 'unavailable' : failed.length > 0 ? 'degraded' : 'ready', checks };
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
    // Only messages written for people: others may name paths.
    return { ...result('failed'), error: error instanceof MillraceError ? error.message : 'failed' };
  } finally {
    clearTimeout(timer);
  }
}
