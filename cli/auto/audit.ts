import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../../pipelines/errors.js';
import { iso } from '../../placement/auto/index.js';
import { complain, printJson, show } from '../output.js';
import type { AuditEvent } from './ports.js';

/** The files beside a placement that is changed automatically. */
export const besides = (file: string) => ({
  journal: `${path.resolve(file)}.auto.json`,
  audit: `${path.resolve(file)}.auto.jsonl`,
  lock: `${path.resolve(file)}.auto.lock`,
  hold: `${path.resolve(file)}.auto.hold`,
});

/** Writes a line of the audit file, and of the output. */
export function tell(file: string, event: AuditEvent, json: boolean): void {
  const line = { at: iso(Date.now()), ...event };
  const versions = [event.from, event.to].filter((version) => version !== undefined).join(' -> ');
  if (json) printJson(line);
  else show(`${line.at}  ${event.event}  ${versions && `${versions}: `}${event.text}`);
  try {
    appendFileSync(file, `${JSON.stringify(line)}\n`, { mode: 0o600 });
  } catch (error) {
    // Without the file no change begins; one that has begun is ended in any case.
    if (event.event === 'started') throw error;
    complain(`millrace: ${file} cannot be written: ${messageOf(error)}`);
  }
}

/** Letters of a reason that is told: people write the file too. */
const LONGEST_HOLD = 1_000;

/** Why nothing is to be changed; undefined: there is no such file. */
export function reasonIn(file: string): string | undefined {
  try {
    return `${file} is there: ${readFileSync(file, 'utf8').slice(0, LONGEST_HOLD).trim() || 'no reason is given'}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return `${file} cannot be read: ${messageOf(error)}`;
  }
}

/** Letters of a file that get no further reason: a process that is started again and again would fill it. */
const LONGEST_FILE = 65_536;

/** Adds a reason to what a person, or an earlier process, has written there. */
export function hold(file: string, why: string): void {
  const before = textIn(file);
  if (before.includes(why) || before.length > LONGEST_FILE) return;
  const text = `${why}\n\nNothing is changed by itself while this file is there. Remove it when you have looked.\n`;
  writeFileSync(file, before === '' ? text : `\n\n${text}`, { flag: 'a', flush: true });
}

/** Empty where there is no file, or none that can be read. */
function textIn(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
