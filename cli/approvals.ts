import { userInfo } from 'node:os';
import type { ApprovalBody } from '../client/index.js';
import type { Approval } from '../pipelines/run/document.js';
import { visibleText } from '../pipelines/run/index.js';
import type { Settings } from '../workers/settings.js';
import { note, print, printJson, show, table } from './output.js';
import { clientOf } from './run.js';

export interface ApprovalListOptions {
  readonly pipeline?: string;
  readonly cursor?: string;
  readonly tenant?: string;
  readonly json?: boolean;
}

/** `millrace approvals`: what running runs wait for a person to decide, and the command that decides each. */
export async function listApprovals(
  settings: Settings,
  { tenant, json, ...filters }: ApprovalListOptions,
): Promise<void> {
  const page = await clientOf(settings, tenant).listApprovals(filters);
  if (json) return printJson(page);
  print(approvalTable(page.approvals, tenant));
  if (page.unknown.length > 0) note(`no worker could be asked about ${page.unknown.join(', ')}`);
  if (page.nextCursor !== undefined) note(`more: add --cursor ${page.nextCursor}`);
}

/**
 * A call of a tool is shown with the arguments that an approval covers.
 *
 * @param tenant as given to the command: what decides needs it too
 */
export const approvalTable = (approvals: readonly Approval[], tenant?: string): string =>
  table(
    ['stage', 'what', 'until', 'else'],
    approvals.map(({ path, subject, call, question, until, otherwise }) => [
      path,
      visibleText(call ? `${call.tool} ${call.arguments ? JSON.stringify(call.arguments) : call.digest}` : subject),
      `${until.slice(0, 19)}Z`,
      question?.server !== undefined ? 'cancelled' : otherwise ? 'approved' : 'rejected',
    ]),
    approvals.map(({ run, nonce, question }) => [
      `millrace approve ${run} ${nonce}${tenant === undefined ? '' : ` --tenant ${tenant}`}${question?.schema ? " --content '{ … }'" : ''}`,
      ...(question?.schema ? [`content: ${visibleText(JSON.stringify(question.schema.properties ?? {}))}`] : []),
    ]),
  );

/** The name of this account; in a container its number may be all there is. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}

export interface DecideOptions extends Omit<ApprovalBody, 'nonce' | 'stage'> {
  readonly tenant?: string;
  readonly json?: boolean;
}

/**
 * `millrace approve` and `millrace reject`, as the user of this machine's account unless `by` names somebody. The nonce is required:
 * a run's next wait may be about something that this person has not seen.
 */
export async function decide(
  settings: Settings,
  decision: 'approve' | 'reject',
  { run, nonce }: { readonly run: string; readonly nonce: string },
  { tenant, json, by = accountName(), ...given }: DecideOptions,
): Promise<void> {
  const document = await clientOf(settings, tenant)[decision](run, { ...given, by, nonce });
  if (json) return printJson(document);
  show(`${decision === 'approve' ? 'approved' : 'rejected'} by ${by}; ${run} is ${document.status}`);
}
