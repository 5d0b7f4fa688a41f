import type { RunSummary } from '../client/index.js';
import type { RunStatus } from '../pipelines/run/document.js';
import type { Settings } from '../workers/settings.js';
import { note, print, printJson, table } from './output.js';
import { clientOf } from './run.js';

export interface ListOptions {
  readonly pipeline?: string;
  readonly status?: string;
  /** Version of the plan. */
  readonly version?: string;
  /** ISO 8601. */
  readonly from?: string;
  readonly to?: string;
  readonly id?: string;
  readonly limit?: number;
  readonly cursor?: string;
  readonly tenant?: string;
  readonly json?: boolean;
}

/** `millrace runs`: prints one page of runs, and on stderr how to get the next one. */
export async function listRuns(settings: Settings, { tenant, json, status, ...rest }: ListOptions): Promise<void> {
  const wanted = { ...rest, ...(status !== undefined && { status: status as RunStatus }) };
  const page = await clientOf(settings, tenant).listRuns(wanted);
  if (json) return printJson(page);
  print(runTable(page.runs));
  if (page.nextCursor !== undefined) note(`more runs: add --cursor ${page.nextCursor}`);
}

/** The pipeline is the start of an id; with names of up to 21 characters a line has at most 100. */
export const runTable = (runs: readonly RunSummary[]): string =>
  table(
    ['run', 'status', 'created', 'took'],
    runs.map(({ id, status, createdAt, endedAt }) => [
      id,
      status,
      `${createdAt.slice(0, 19)}Z`,
      endedAt === undefined ? '' : timeOf(Date.parse(endedAt) - Date.parse(createdAt)),
    ]),
  );

/** A duration for display: `840 ms`, `12.3 s`, `7.5 min`, `26.0 h`. */
function timeOf(ms: number): string {
  // Start and end are by the clocks of two machines, which may differ.
  if (ms < 1_000) return `${Math.max(0, ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 3_600_000 ? `${(ms / 60_000).toFixed(1)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}
