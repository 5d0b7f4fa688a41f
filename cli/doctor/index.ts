import { bold, EXIT, green, print, printJson, red, show, table } from '../output.js';
import { widthOf } from '../wrap.js';
import { examine } from './examine.js';
import type { Finding, FindingId } from './finding.js';

/** Findings that mean that a required server is unreachable, rather than misconfigured. */
const UNAVAILABLE: ReadonlySet<FindingId> = new Set([
  'temporal.reachable',
  'redis.reachable',
  'pool.reachable',
  'sandbox.reachable',
]);

/** `millrace doctor`: exit 0 if no check failed, 3 if a server is unreachable, else 1. */
export async function doctor(
  options: { readonly json?: boolean; readonly config?: string | undefined },
  env = process.env,
): Promise<void> {
  const findings = await examine(env, options.config);
  const failed = findings.filter(({ state }) => state === 'fail');
  if (options.json) printJson({ ok: failed.length === 0, findings });
  else showFindings(findings);
  process.exitCode = exitCodeOf(failed);
}

export function exitCodeOf(failed: readonly Finding[]): number {
  if (failed.length === 0) return EXIT.ok;
  return failed.some(({ id }) => UNAVAILABLE.has(id)) ? EXIT.unavailable : EXIT.failed;
}

/** Columns of a detail on the line of its finding; a longer one has a line of its own, where a path stays whole. */
const SHORT_DETAIL = 34;

/** A line for each finding; what failed or warns has what to do below it. */
function showFindings(findings: readonly Finding[]): void {
  const isShort = ({ detail }: Finding) => widthOf(detail) <= SHORT_DETAIL;
  const rows = findings.map((finding) => {
    const { id, about, state, detail } = finding;
    return [state, id, about, isShort(finding) ? detail : ''];
  });
  const notes = findings.map((finding) => [
    ...(isShort(finding) ? [] : [finding.detail]),
    ...(finding.remedy === undefined ? [] : [`→ ${finding.remedy}`]),
  ]);
  show(table(['state', 'check', 'of', 'detail'], rows, notes));
  const count = (wanted: Finding['state']) => findings.filter(({ state }) => state === wanted).length;
  const [failures, warnings] = [count('fail'), count('warn')];
  const verdict = `${failures} failed, ${warnings} warned, ${count('ok')} ok`;
  print(`\n${failures > 0 ? red(verdict) : warnings > 0 ? bold(verdict) : green(verdict)}`);
}
